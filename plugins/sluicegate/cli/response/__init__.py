"""Commands for what people do after a verdict."""
