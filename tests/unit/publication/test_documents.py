from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lanewise.domain.project import Column, Grain, PartitionSpec, TableKind
from lanewise.domain.publication import PartitionMap, Slice, TableMap
from lanewise.publication.documents import decode, encode, name_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def maps(draw: st.DrawFn) -> PartitionMap:
    tables = {}
    for name in draw(st.lists(texts, unique=True, max_size=3)):
        slices = {
            p: tuple(
                Slice(name, p, draw(texts), draw(texts), draw(st.integers(0, 9)), 1, draw(texts), draw(texts), "i")
                for _ in range(draw(st.integers(0, 2)))
            )
            for p in draw(st.lists(texts, unique=True, max_size=3))
        }
        cut = draw(st.sampled_from([None, PartitionSpec("day", Grain.HOUR, "Europe/Berlin")]))
        columns = (Column(draw(texts), "DECIMAL(18,2)", nullable=False),)
        tables[name] = TableMap(name, draw(st.sampled_from(TableKind)), columns, slices, cut, draw(st.none() | texts))
    return PartitionMap(draw(texts), draw(st.integers(0, 99)), draw(texts), draw(texts), tables)


@given(maps())
def test_a_map_comes_back_as_it_was_written(published):
    assert decode(encode(published)) == published


@given(maps())
def test_equal_maps_have_equal_names_whatever_the_order_they_were_made_in(published):
    turned = PartitionMap(published.pipeline, published.number, published.build, published.config,
                          dict(reversed(published.tables.items())))  # fmt: skip
    assert name_of(encode(turned)) == name_of(encode(published))
