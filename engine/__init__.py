"""What is computed: frames, codec, cosmic rays, anomalies, metrics; pure functions of their input."""
