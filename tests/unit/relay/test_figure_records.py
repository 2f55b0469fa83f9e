"""Numbers of the records that a worker and the switch share."""

from vosd.relay.records import RECORDS, RESTING, FigureRecords, new_memory


def test_a_record_of_an_earlier_switch_is_given_to_no_other_port_until_it_is_given_back():
    records = FigureRecords(new_memory())
    for number in (1, 3, 5):
        records.keep(number)
    records.give_back(3)
    taken = [records.take() for _ in range(RECORDS - 3)]
    assert sorted(taken) == [2, 3, 4, *range(6, RECORDS)]
    assert records.take() is None
    records.give_back(5)
    assert records.take() == 5
    assert records.take() is None
    records.close()


def test_records_are_used_again_after_a_rest_so_that_memory_does_not_grow_with_all_calls():
    records = FigureRecords(new_memory())
    open_now = [records.take() for _ in range(10)]
    used, given_back_at = set(open_now), {}
    for at in range(3 * RESTING):
        number = open_now.pop(0)
        records.give_back(number)
        given_back_at[number] = at
        taken = records.take()
        assert at - given_back_at.get(taken, -RESTING) >= RESTING
        open_now.append(taken)
        used.add(taken)
    assert len(used) == RESTING + 10
    records.close()
