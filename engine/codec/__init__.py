"""The learned codec: a dropout autoencoder, integer entropy coding and the .cosmic bitstream."""
