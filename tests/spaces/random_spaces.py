"""Random spaces for property tests: everything that the language can say, in valid ways.

They are made from a seed and a size, which hypothesis makes smaller: to draw each of some hundred details by a strategy
of its own takes twenty times as long.
"""

from random import Random

from hypothesis import strategies as st

from autotune.errors import SpaceError
from autotune.spaces.draws import draw
from autotune.spaces.params import Bool, Choice, Derived, Fixed, Float, Int
from autotune.spaces.space import Space
from autotune.spaces.tree import contradiction

TEXTS = ["adamw", "on", "no", "null", "true", "1e-5", "", " a ", "a: b", "# x", "~", "ü", "\\n", "a\nb", "tab\t"]
TEXTS += ['say "hi"', "it's", "none", "[1]", "{a}", "- a", "?a", "a\x85b", "2020-01-01"]
PLAIN = [*TEXTS, None, True, False, 0, 1, 2.5, -3, 1e-7, 1e22, (64, 32), ("a", None)]
KEYS = ["p{}", "p{}", "p{}", "svc__p{}", "p-{}", "p.{}", "p {}", '"p"{}', "ü{}", "{}"]
NAMES = ["mlp", "knn", "my-svc", "a b"]


def spaces():
    """Any valid space."""
    return st.builds(random_space, st.integers(0, 2**32), st.integers(0, 6))


def random_space(seed, size):
    """Make a space of up to three learners with up to so many parameters each, and an epoch or not."""
    random = Random(seed)
    names = random.sample(NAMES, random.randint(1, 3))
    tables = {name: parameters(random, random.randint(0, size)) for name in names}
    models = {name: "sklearn.svm:SVC" for name in names if random.random() < 0.2}
    space = Space(tables, models=models, summary=random.choice(["", "A space."]))
    for name in names:
        if any(not isinstance(each, Derived) for each in tables[name].values()) and random.random() < 0.6:
            space = with_clause(space, {"learner": name, **clause(random, tables[name])})
    starts = [as_start(space, draw(space, random)) for _ in range(random.randint(0, 2))]
    return space.replaced(starts=starts)


def parameters(random, size):
    """Return parameters that hang on earlier ones in any way, written in any order."""
    found = {}
    for number in range(size):
        key = random.choice(KEYS).format(number)
        numeric = [each for each, known in found.items() if is_numeric(each, known)]
        kinds = [a_float, an_int, a_choice, a_choice, a_fixed, a_bool, *([a_derived] if numeric else [])]
        make, details = random.choice(kinds)(random, numeric)
        found[key] = make(**details, when=conditions(random, found))
        if contradiction(found, key):
            found[key] = make(**details)
    if random.random() < 0.5:
        found["epochs"] = Int(1, random.randint(2, 500), fidelity=True)
    return {key: found[key] for key in random.sample(list(found), len(found))}


def is_numeric(key, parameter):
    return key.isidentifier() and isinstance(parameter, (Float, Int)) and not parameter.special


def a_float(random, _):
    low = random.choice([-1.0, 0.0, 0.1, 1e-5, 2])
    step = random.choice([None, None, 0.1, 0.25, 3])
    high = low + (step * random.randint(1, 20) if step else random.choice([1e-3, 1, random.uniform(0.1, 1e6)]))
    high = float(f"{high:.12g}")  # as a person writes it: 0.3, not 0.1 + 2 * 0.1
    details = {"low": low, "high": high, "step": step, "log": low > 0 and step is None and random.random() < 0.5}
    return Float, ranged(random, details, [None, "auto", True, low - 1.5])


def an_int(random, _):
    low, step = random.randint(-5, 5), random.choice([1, 1, 3])
    details = {"low": low, "high": low + step * random.randint(1, 30), "step": step}
    if random.random() < 0.3:
        low = 2 ** random.randint(0, 4)
        details = {"low": low, "high": low * 2 ** random.randint(1, 5), "scale": "pow2"}
    elif low > 0 and step == 1:
        details["log"] = random.random() < 0.5
    return Int, ranged(random, details, [None, "auto", low - 1])


def ranged(random, details, beside):
    special = random.sample(beside, random.choice([0, 0, 1, 2]))
    default = {"default": random.choice([details["low"], details["high"], *special])} if random.random() < 0.5 else {}
    return {**details, "special": special, **default}


def a_choice(random, _):
    options = list(dict.fromkeys(random.choices(PLAIN, k=random.randint(1, 4))))
    weights = random.choice([None, None, list(range(1, len(options) + 1))])
    default = {"default": random.choice(options)} if random.random() < 0.5 else {}
    return Choice, {"options": options, "ordered": random.random() < 0.3, "weights": weights, **default}


def a_fixed(random, _):
    return Fixed, {"value": random.choice(PLAIN)}


def a_bool(random, _):
    return Bool, {"default": random.random() < 0.5}


def a_derived(random, numeric):
    one, other = random.choices(numeric, k=2)
    return Derived, {"formula": random.choice([f"2 * {one} + 1", f"min({one}, {other}) / 3", f"-({one} // 2)"])}


def conditions(random, found):
    parents = [key for key, parameter in found.items() if not isinstance(parameter, Derived)]
    when = {}
    for parent in random.sample(parents, min(len(parents), random.choice([0, 0, 1, 2]))):
        values = found[parent].extremes()
        when[parent] = random.sample(values, random.randint(1, len(values)))
    if random.random() < 0.1:
        when["task"] = random.choice([["classification"], ["binary", "regression"]])
    return when


def clause(random, found):
    keys = [key for key, parameter in found.items() if not isinstance(parameter, Derived)]
    return {key: condition(random, found[key]) for key in random.sample(keys, min(len(keys), random.randint(1, 2)))}


def condition(random, parameter):
    values = random.sample(parameter.extremes(), random.randint(1, len(parameter.extremes())))
    kinds = [values, {"not": values}]
    if isinstance(parameter, (Float, Int)):
        word = random.choice(["at_least", "at_most", "above", "below"])
        kinds.append({word: random.choice([parameter.low, parameter.high])})
    return random.choice(kinds)


def with_clause(space, clause):
    """Add a clause, if it may hold and leaves the defaults alone."""
    try:
        return space.replaced(forbid=[*space.forbid, clause])
    except SpaceError:
        return space


def as_start(space, config):
    """Return a configuration as a person writes it: without what is computed or chosen by the curve."""
    known = space.learners[config.learner]
    written = {key for key in config.params if not isinstance(known[key], Derived)}
    written -= {key for key in written if getattr(known[key], "fidelity", False)}
    return {"learner": config.learner} | {key: config.params[key] for key in config.params if key in written}
