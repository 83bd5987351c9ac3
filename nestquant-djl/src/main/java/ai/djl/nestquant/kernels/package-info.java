/**
 * Products with packed matrices: {@link ai.djl.nestquant.kernels.Kernels} is what callers hold,
 * {@link ai.djl.nestquant.kernels.PortableKernels} runs on any JVM without flags.
 *
 * <p>What a code means is defined by {@code codec.PackedMatrix.decodeRow}; every implementation is
 * right when the shared contract test says so.
 */
package ai.djl.nestquant.kernels;
