import pytest

from autotune.spaces.formula import LONGEST, FormulaError, parse_formula


@pytest.mark.parametrize(
    ("text", "values", "value"),
    [
        ("learning_rate * batch_size / 256", {"learning_rate": 0.1, "batch_size": 512}, 0.2),
        ("2 ** -3", {}, 0.125),
        ("-(7 // 2) % 5 + +1", {}, 3),
        (" max(1, round(x / 3), 2) ", {"x": 20}, 7),
        ("sqrt(x) + log2(8) + abs(-1)", {"x": 4}, 6.0),
        ("int(x)", {"x": 2.9}, 2),
        ("svc__C * 2", {"svc__C": 3}, 6),
        ("x ** 10", {"x": 1e30}, 1e300),
    ],
)
def test_arithmetic(text, values, value):
    formula = parse_formula(text)
    assert formula.value(values) == pytest.approx(value, rel=1e-12)
    assert set(formula.names) == set(values)


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        ("1 / x", {"x": 0}, "'1 / x' has no value: division by zero"),
        ("x * 2", {"x": "adamw"}, "'x * 2' has no value: x is 'adamw', no number"),
        ("x + 2", {"x": None}, "'x + 2' has no value: x is none, no number"),
        ("x * 10", {"x": 1e308}, "'x * 10' is inf, no finite number"),
        ("sqrt(x)", {"x": -1}, "'sqrt(x)' has no value: math domain error"),
        ("x ** 0.5", {"x": -8}, "no finite number"),
        ("10 ** 400", {}, "'10 ** 400' has no value: int too large to convert to float"),
        ("9 ** 9 ** 9", {}, "'9 ** 9 ** 9' has no value: a power in it is too large"),
        ("((10**1000)**1000)**1000", {}, "'((10**1000)**1000)**1000' has no value: a power in it is too large"),
        ("x * 500000000", {"x": "rbf"}, "'x * 500000000' has no value: x is 'rbf', no number"),
        ("round(x, -500000000)", {"x": 5}, "'round(x, -500000000)' has no value: a power in it is too large"),
        ("min()", {}, "'min()' has no value: min expected at least 1 argument, got 0"),
        ("x", {}, "'x' has no value: 'x'"),
    ],
)
def test_what_has_no_value(text, values, problem):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text).value(values)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__[0]",
        "x.real",
        "x[0]",
        "[1, 2]",
        "lambda: 1",
        "x if x else 1",
        "x < 1",
        "x and 1",
        "'text'",
        "True",
        "~x",
        "x := 1",
        "f'{x}'",
        "min(*x)",
        "x = 1",
        "1; 2",
        "",
        "1 +",
        "(" * 300,
        "~" * 450 + "1",
        "x\x00",
    ],
)
def test_what_is_no_arithmetic(text):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    assert "arithmetic" in str(caught.value) or "too deeply" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("sqr(4)", "no function named 'sqr' in formulas", "sqrt"),
        ("eval(1)", "no function named 'eval' in formulas", "one of: min, max, abs"),
        ("max(1, key=2)", "no function named 'max' in formulas", "max"),
        (5, "a formula is a text, found 5", "fixed = 5"),
        ("1" * (LONGEST + 1), "a formula has at most 500 characters, found 501", "arithmetic"),
    ],
)
def test_what_to_write_instead(text, problem, hint):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    assert str(caught.value) == problem
    assert caught.value.hint.startswith(hint)
