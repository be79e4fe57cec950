"""Where examples come from, and how they are split and encoded. numpy only."""
