"""Paginators: fetched when needed, once, from where a cursor says; iterated, indexed, counted."""

import threading

import pytest

from holdfast._pagination import ChainedPaginator, Page, Paginator, SizedPaginator
from holdfast.errors import CommError, InvalidRequestError

PAGE = 3


class Numbers(Paginator[int]):
    """The numbers below `total`, whose cursor is the next number as text."""

    def __init__(self, total: int, per_page: int = PAGE, start: str | None = None) -> None:
        super().__init__(per_page, start)
        self.total = total
        self.fetched: list[str | None] = []

    def _fetch(self, cursor: str | None) -> Page[int]:
        self.fetched.append(cursor)
        first = int(cursor or 0)
        end = min(first + self.per_page, self.total)
        return Page(list(range(first, end)), str(end) if end < self.total else None)


class CountedNumbers(Numbers, SizedPaginator[int]):
    """The same, from a registry that counts."""

    def _fetch(self, cursor: str | None) -> Page[int]:
        page = super()._fetch(cursor)
        return Page(page.objects, page.next_cursor, self.total)


def test_pages_are_fetched_when_they_are_needed_and_once() -> None:
    numbers = Numbers(8)
    assert numbers.fetched == []
    assert numbers[1] == 1
    assert numbers.fetched == [None]
    assert list(numbers) == list(range(8))
    assert list(numbers) == list(range(8))
    assert numbers.fetched == [None, "3", "6"]


@pytest.mark.parametrize("total", [0, 1, PAGE, PAGE + 1, 2 * PAGE])
def test_all_objects_come_whatever_the_pages(total: int) -> None:
    assert list(Numbers(total)) == list(range(total))


@pytest.mark.parametrize(
    "index",
    [
        slice(None),
        slice(2, 5),
        slice(-2, None),
        slice(None, -1),
        slice(-3, 7),
        slice(None, 4, -1),
        slice(1, 99),
        slice(4, 0),
    ],
    ids=str,
)
def test_slices_are_those_of_a_list(index: slice) -> None:
    assert Numbers(8)[index] == list(range(8))[index]


def test_slice_fetches_no_page_behind_it() -> None:
    numbers = Numbers(8)
    assert numbers[0:2] == [0, 1]
    assert numbers.fetched == [None]


def test_indexes_count_from_both_ends_and_end_somewhere() -> None:
    numbers = Numbers(8)
    assert (numbers[7], numbers[-1], numbers[-8]) == (7, 7, 0)
    for index in (8, -9):
        with pytest.raises(IndexError):
            numbers[index]


def test_next_walks_through_and_leaves_loops_alone() -> None:
    numbers = Numbers(4)
    assert (numbers.next(), next(numbers)) == (0, 1)
    assert list(numbers) == [0, 1, 2, 3]
    assert (next(numbers), next(numbers)) == (2, 3)
    with pytest.raises(StopIteration):
        numbers.next()


def test_two_loops_do_not_disturb_each_other() -> None:
    numbers = Numbers(4)
    assert [(a, b) for a in numbers for b in numbers] == [(a, b) for a in range(4) for b in range(4)]


def test_cursor_says_where_another_paginator_goes_on() -> None:
    numbers = Numbers(8)
    assert (numbers.cursor, numbers.more) == (None, True)
    assert numbers[0] == 0
    assert (numbers.cursor, numbers.more) == ("3", True)
    assert list(Numbers(8, start=numbers.cursor)) == [3, 4, 5, 6, 7]
    assert list(numbers)[-1] == 7
    assert (numbers.cursor, numbers.more) == (None, False)


def test_convert_objects_gives_the_last_page() -> None:
    numbers = Numbers(8)
    assert numbers.convert_objects() == []
    assert numbers[4] == 4
    assert numbers.convert_objects() == [3, 4, 5]


def test_sized_ones_know_their_number_after_one_page() -> None:
    numbers = CountedNumbers(8)
    assert (len(numbers), numbers.length) == (8, 8)
    assert numbers.fetched == [None]
    assert len(CountedNumbers(0)) == 0


def test_length_of_the_whole_query_also_from_a_cursor_on() -> None:
    assert len(CountedNumbers(8, start="6")) == 8


def test_others_have_no_len_but_say_how_far_they_are() -> None:
    numbers = Numbers(8)
    with pytest.raises(TypeError):
        len(numbers)  # type: ignore[arg-type]
    assert numbers.length is None
    assert numbers[0] == 0
    assert numbers.length == PAGE


@pytest.mark.parametrize("per_page", [0, -1, "50", 1.5, None])
def test_page_size_must_be_a_positive_number(per_page: int) -> None:
    with pytest.raises(ValueError, match="per_page"):
        Numbers(1, per_page=per_page)


def test_page_size_is_bounded() -> None:
    assert Numbers(1, per_page=1_000_000).per_page == 1000


def test_threads_that_share_a_paginator_see_each_object_once() -> None:
    numbers = Numbers(200, per_page=1)
    barrier = threading.Barrier(4)
    seen: list[list[int]] = []

    def walk() -> None:
        barrier.wait()
        seen.append(list(numbers))

    threads = [threading.Thread(target=walk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [list(range(200))] * 4


def test_refusal_of_a_page_is_a_comm_error_and_the_page_can_be_asked_for_again() -> None:
    class Refusing(Numbers):
        refuse = True

        def _fetch(self, cursor: str | None) -> Page[int]:
            if self.refuse and cursor is not None:
                raise ValueError("the filter is wrong")
            return super()._fetch(cursor)

    numbers = Refusing(5)
    with pytest.raises(InvalidRequestError, match="the filter is wrong") as caught:
        list(numbers)
    assert isinstance(caught.value, CommError)
    numbers.refuse = False
    assert list(numbers) == [0, 1, 2, 3, 4]


def test_chain_is_iterated_once_and_asks_late() -> None:
    children = [Numbers(2), Numbers(0), Numbers(4)]
    chain = ChainedPaginator(iter(children))
    assert next(chain) == 0
    assert children[2].fetched == []
    assert list(chain) == [1, 0, 1, 2, 3]
    assert list(chain) == []


def test_chain_has_no_length_cursor_or_index() -> None:
    chain = ChainedPaginator(iter([Numbers(2)]))
    for ask in (
        lambda: len(chain),
        lambda: chain[0],
        lambda: chain.cursor,
        lambda: chain.length,
    ):
        with pytest.raises(TypeError, match="iterate it"):
            ask()
