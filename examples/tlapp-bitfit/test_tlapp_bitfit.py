from tlapp_bitfit import BitFit

from tlapp.testing import check_strategy


def test_keeps_the_contract():
    check_strategy(BitFit())
