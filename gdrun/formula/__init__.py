"""The formula language: text -> an allow-listed tree -> a value, in numpy or in TensorFlow.

    table.py                 the functions a formula may call; standard library only
    nodes.py                 the tree, the formula, the loops of `define`; standard library only
    parse.py, mistakes.py    text -> Expression, or a FormulaError at the offending token; standard library only
    name_checks.py           which names an expression may use, with suggestions; standard library only
    evaluate.py              names -> values (Scope); Expression + Scope -> value
    numpy_ops.py             the table in float64 numpy; numpy_functions.py has what numpy lacks
    tensorflow_ops.py        the table in TensorFlow; tensorflow_functions.py and tensorflow_draws.py have what it lacks
    failures.py              the errors of all of them

Nothing here calls `eval`, and nothing outside the table can be reached from a formula.
"""
