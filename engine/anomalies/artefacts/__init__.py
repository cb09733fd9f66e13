"""What is no object of the sky: its features, a head that knows them, nights to train it on."""
