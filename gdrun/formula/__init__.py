"""The formula language: text -> an allow-listed tree -> a value, in numpy or in TensorFlow.

    table.py                 the functions a formula may call; standard library only
    nodes.py                 the tree, the formula, the loops of `define`; standard library only
    parse.py, mistakes.py    text -> Expression, or a FormulaError at the offending token; standard library only
    names.py                 which names an expression may use, with suggestions; standard library only
    evaluate.py              names -> values (Scope); Expression + Scope -> value
    numpy_ops.py             the table in float64 numpy
    tensorflow_ops.py        the table in TensorFlow; the only part that imports it, with the files it names
    failures.py              the errors of all of them

Nothing here calls `eval`, and nothing outside the table can be reached from a formula.
"""
