"""Where training data lies: one small file a kind of place, behind one protocol."""
