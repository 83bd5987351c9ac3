/**
 * The Gosset lattice E8, coarse lattices inside it and the Voronoi codes between the two.
 *
 * <p>Pure integer mathematics on blocks of eight entries; scales and storage belong to {@code
 * codec}.
 */
package ai.djl.nestquant.lattice;
