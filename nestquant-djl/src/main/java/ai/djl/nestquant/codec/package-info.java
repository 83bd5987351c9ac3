/**
 * From lattice codes to stored rows: beta sets and ladders, block and row quantisers, packed
 * matrices.
 *
 * <p>A codec is a fine lattice (E8), a coarse lattice ({@code lattice.VoronoiCode}) and a set of
 * scales ({@link ai.djl.nestquant.codec.BetaSet}); the three stay visible in every signature.
 * {@code docs/FORMAT.md} describes what is stored.
 */
package ai.djl.nestquant.codec;
