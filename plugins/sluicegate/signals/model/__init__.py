"""The reference model of labels: what it says, how it errs, and which rows it can judge."""
