package ai.djl.nestquant.lattice;

/**
 * The coarse lattices Λc ⊂ E8 of a Voronoi code, each scaled by the nesting ratio q; immutable.
 *
 * <p>All contain pairs of wraps {@code q·e_i ± q·e_j}; they differ in whether they contain {@code
 * (q/2)·1} and single wraps {@code q·e_i}.
 */
public enum CoarseLattice {
    /** q·E8, any q: the code of the NestQuant paper, q^8 cosets. */
    GOSSET("E8", true, false, false),
    /**
     * q·E8 whose leader moves coordinate 0 where the shortest one moves the largest (like the
     * paper's NestQuantM): simpler, and further from round.
     */
    GOSSET_FIXED("E8/fixed", true, false, true),
    /** q·D8* = qZ^8 ∪ (qZ^8 + (q/2)·1), q even: q^8/2 cosets, and a leader without argmax. */
    DUAL_CHECKERBOARD("D8*", true, true, false),
    /** q·Z^8, q even: q^8 cosets in a cube. */
    CUBE("Z8", false, true, false);

    private final String symbol;
    private final boolean halfShift;
    private final boolean singleWraps;
    private final boolean fixedCoordinate;

    CoarseLattice(String symbol, boolean halfShift, boolean singleWraps, boolean fixedCoordinate) {
        this.symbol = symbol;
        this.halfShift = halfShift;
        this.singleWraps = singleWraps;
        this.fixedCoordinate = fixedCoordinate;
    }

    /** Returns the lattice's usual symbol, such as {@code E8}. */
    String symbol() {
        return symbol;
    }

    /** Returns whether {@code (q/2)·1} belongs to the scaled lattice. */
    boolean halfShift() {
        return halfShift;
    }

    /** Returns whether {@code q·e_i} belongs to the scaled lattice, or only sums of two such. */
    boolean singleWraps() {
        return singleWraps;
    }

    /** Returns whether an odd number of wraps is made even at coordinate 0. */
    boolean fixedCoordinate() {
        return fixedCoordinate;
    }
}
