/** The Gosset lattice E8, coarse lattices inside it and the Voronoi codes between the two. */
package ai.djl.nestquant.lattice;
