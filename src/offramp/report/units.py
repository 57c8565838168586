"""Numbers as people read them."""


def macs(count: float) -> str:
    """MACs with the prefix that leaves one to three digits before the point.

    >>> macs(4.09e9), macs(125.4e6), macs(73_792.0), macs(12.0)
    ('4.09 GMACs', '125 MMACs', '73.8 kMACs', '12 MACs')
    """
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {prefix}MACs"
    return f"{count:.3g} MACs"


def percent(share: float, digits: int = 1) -> str:
    """A share in percent.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{100 * share:.{digits}f} %"


def size(count: int | float) -> str:
    """Bytes with a decimal prefix: a MB is a million.

    >>> size(3_426_344), size(65_120), size(12.0)
    ('3.43 MB', '65.1 kB', '12 B')
    """
    for prefix, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= unit:
            return f"{count / unit:.3g} {prefix}B"
    return f"{count:.3g} B"
