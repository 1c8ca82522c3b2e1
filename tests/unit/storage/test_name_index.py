# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.storage.name_index import NameIndex


@settings(max_examples=60)
@given(
    st.lists(st.binary(max_size=3), unique=True, max_size=20),
    st.lists(st.tuples(st.booleans(), st.binary(max_size=3)), max_size=30),
)
def test_it_finds_what_a_dictionary_finds(
    first: list[bytes], steps: list[tuple[bool, bytes]]
) -> None:
    names = list(first)
    model = {name: row for row, name in enumerate(names)}
    index = NameIndex(range(len(names)), names.__getitem__)
    for adds, name in steps:
        if name in model and not adds:
            index.remove(model.pop(name))
        elif name not in model and adds:
            names.append(name)
            model[name] = len(names) - 1
            index.add(model[name])
        assert index.find(name) == model.get(name)
    for name in names:
        assert index.find(name) == model.get(name)


def test_a_row_that_is_not_there_is_removed_without_harm() -> None:
    names = [b"a", b"b", b"c"]
    index = NameIndex([0, 2], names.__getitem__)
    index.remove(1)
    assert (index.find(b"a"), index.find(b"b"), index.find(b"c")) == (0, None, 2)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_of_rows_that_have_one_name_for_a_moment_the_very_one_is_removed(which: int) -> None:
    names = [b"b", b"b", b"b", b"a", b"c"]
    index = NameIndex(range(5), names.__getitem__)
    index.remove(which)
    names[which] = b"d"
    index.add(which)
    for row in {0, 1, 2} - {which}:
        index.remove(row)
        names[row] = b"e%d" % row
        index.add(row)
    assert [index.find(name) for name in names] == [0, 1, 2, 3, 4]
    assert index.find(b"b") is None
