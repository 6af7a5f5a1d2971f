"""From the Amazon review dumps of 2014, 2018 and 2023 to a data folder with reviews, texts and pictures."""
