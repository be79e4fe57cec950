"""The compiled training loop: state, step, loop, lanes, device."""
