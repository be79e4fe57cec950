"""The formula language: text -> an allow-listed tree -> a value, in numpy or in TensorFlow.

    table.py                 the functions a formula may call; stdlib only
    tokens.py, parse.py      text -> Expression, or a FormulaError at the offending token; stdlib only
    names.py                 which names an expression may use, with suggestions; stdlib only
    scope.py, evaluate.py    names -> values; Expression + Scope -> value
    numpy_ops.py             the table in float64 numpy
    tensorflow_ops.py        the table in TensorFlow; the only part that imports it, with the files it names

Nothing here calls `eval`, and nothing outside the table can be reached from a formula.
"""
