"""Looking at feature tables: what is there, whether it is sound, and whether neighbours make sense to a person."""
