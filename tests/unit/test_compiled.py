import numpy as np

from affectflow.compiled import compiled

SOURCE = """
def total(numbers):
    sum = 0.0
    for number in numbers:
        sum += number
    return sum
"""


def test_a_function_of_no_file_is_compiled_all_the_same() -> None:
    """As where neither its folder nor a user's cache can be written."""
    there: dict = {}
    exec(compile(SOURCE, "<nowhere>", "exec"), there)
    made = compiled(there["total"])
    assert made(np.arange(5.0)) == 10
    assert made.signatures, "compiled, not interpreted"
