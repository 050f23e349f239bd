"""TensorRT 10 and 11 on an NVIDIA GPU: builder, cache of built engines, run time without torch."""
