"""Signals of columns that move by nature: ids, meters, clocks, days since."""
