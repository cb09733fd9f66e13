"""What is computed: frames, codec, cosmic rays, anomalies; pure functions of their input."""
