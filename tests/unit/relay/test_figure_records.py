"""Numbers of the records that a worker and the switch share."""

from vosd.relay.records import RECORDS, FigureRecords, new_memory


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
