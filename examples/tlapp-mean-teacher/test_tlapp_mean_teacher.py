from tlapp_mean_teacher import MeanTeacher

from tlapp.testing import check_strategy


def test_keeps_the_contract():
    check_strategy(MeanTeacher())
