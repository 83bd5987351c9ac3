package ai.djl.nestquant.lattice;

import java.util.Arrays;

/**
 * The cosets of E8 modulo a coarse lattice, each with its leader; exact integer arithmetic.
 *
 * <p>A code is stored as eight digits; its value is the coset leader, the shortest member of the
 * coset (NestQuant paper, section 3). Points are doubled integers {@code y = 2x}, where wrapping a
 * coordinate by q in x is wrapping by 2q in y, and {@code (q/2)·1} in x is {@code q·1} in y.
 *
 * <p><b>Representative.</b> Every coset has exactly one form {@code c + b·2q·e_7} with {@code c_i ∈
 * [−q, q)}, {@code b ∈ {0, 1}} (0 where single wraps are in the coarse lattice), and {@code c_1 ≥
 * 0} where the coarse lattice contains {@code (q/2)·1}.
 *
 * <p><b>The tie rule</b>, the only one of the whole format. Leader candidates are c and the "far"
 * one {@code c_i − q·sgn(c_i)}, with sgn(0) = +1; in each, an odd number of wraps is made even by
 * moving the coordinate of largest magnitude by {@code −2q·sgn}, the first such index on ties. The
 * far candidate wins only when strictly shorter.
 *
 * <p>Immutable and thread-safe.
 */
public final class VoronoiCode {
    private static final int LARGEST_RATIO = 256;
    private static final int DIMENSION = GossetLattice.DIMENSION;

    private final CoarseLattice coarse;
    private final int ratio;

    /**
     * Makes the code of E8 modulo {@code nestingRatio · coarse}.
     *
     * @param coarse the coarse lattice before scaling
     * @param nestingRatio q, from 2 to 256; even for D8* and Z^8, which are sublattices only then
     * @throws IllegalArgumentException for other nesting ratios
     */
    public VoronoiCode(CoarseLattice coarse, int nestingRatio) {
        if (nestingRatio < 2 || nestingRatio > LARGEST_RATIO) {
            throw new IllegalArgumentException(
                    "nesting ratio " + nestingRatio + " is outside 2.." + LARGEST_RATIO);
        }
        if (coarse.singleWraps() && nestingRatio % 2 != 0) {
            throw new IllegalArgumentException(
                    "nesting ratio "
                            + nestingRatio
                            + " is odd, but q·"
                            + coarse.symbol()
                            + " lies in E8 only for even q");
        }
        this.coarse = coarse;
        this.ratio = nestingRatio;
    }

    /** Returns the coarse lattice before scaling. */
    public CoarseLattice coarse() {
        return coarse;
    }

    /** Returns the nesting ratio q. */
    public int nestingRatio() {
        return ratio;
    }

    /** Returns the usual name, such as {@code 16·E8}. */
    public String name() {
        return ratio + "·" + coarse.symbol();
    }

    /** Returns the rate log2(number of cosets)/8, bits per entry. */
    public double bitsPerEntry() {
        double bits = 0;
        for (int i = 0; i < DIMENSION; i++) {
            bits += Math.log(radix(i)) / Math.log(2);
        }
        return bits / DIMENSION;
    }

    /**
     * Returns how many values digit i takes; the number of cosets is the product.
     *
     * @param digit 0 to 7
     * @return q, but 2q for digit 1 where nothing fixes the sign of c_1, and q/2 for digit 7 where
     *     b needs no room in it
     */
    public int radix(int digit) {
        if (digit == 1 && !coarse.halfShift()) {
            return 2 * ratio;
        }
        return digit == 7 && coarse.singleWraps() ? ratio / 2 : ratio;
    }

    /** Returns a bound on the norm of every leader, in x (not doubled). */
    public double largestNorm() {
        // E8 and D8* have covering radius 1; a cube's corner is at √8/2; fixed: (q, q/2, ..., q/2)
        return switch (coarse) {
            case GOSSET, DUAL_CHECKERBOARD -> ratio;
            case CUBE -> Math.sqrt(2) * ratio;
            case GOSSET_FIXED -> Math.sqrt(1 + 7 / 4.0) * ratio;
        };
    }

    /** Returns a radius, in x, within which every point of E8 is its coset's leader. */
    public double innerRadius() {
        // half the shortest vector of q·E8; a wrap at ±q/2 is the nearest border of the others
        return coarse == CoarseLattice.GOSSET ? ratio / Math.sqrt(2) : ratio / 2.0;
    }

    /**
     * Finds the coset of a lattice point.
     *
     * @param y a point of E8, doubled integers [8]
     * @param digits receives the code, digit i in [0, {@link #radix radix(i)}); may be the same
     *     array
     */
    public void encode(int[] y, int[] digits) {
        int wraps = 0;
        for (int i = 0; i < DIMENSION; i++) {
            int count = Math.floorDiv(y[i] + ratio, 2 * ratio);
            digits[i] = y[i] - 2 * ratio * count;
            wraps += count;
        }
        if (coarse.halfShift() && digits[1] < 0) {
            for (int i = 0; i < DIMENSION; i++) {
                boolean wrap = digits[i] >= 0;
                digits[i] += wrap ? -ratio : ratio;
                wraps += wrap ? 1 : 0;
            }
        }
        // digits holds c so far; a coordinate becomes a digit without its parity, which digit 1
        // keeps
        for (int i = 0; i < DIMENSION; i++) {
            if (i != 1) {
                digits[i] = (digits[i] + ratio) >> 1;
            }
        }
        if (coarse.singleWraps()) {
            digits[7] >>= 1; // Σc ≡ 0 (mod 4) gives this bit back
            digits[1] += coarse.halfShift() ? 0 : ratio;
        } else if (ratio % 2 == 0) {
            digits[7] ^= wraps & 1; // Σc ≡ 0 (mod 4) gives this bit back, so it carries b
        }
    }

    /**
     * Decodes a code to its coset leader.
     *
     * @param digits the code [8], each digit in [0, {@link #radix radix(i)})
     * @param y receives the leader, doubled integers [8]; may be the same array
     */
    public void leader(int[] digits, int[] y) {
        int first = digits[1] - (coarse.halfShift() ? 0 : ratio);
        int odd = (first + ratio) & 1;
        int sum = 0;
        for (int i = 0; i < DIMENSION; i++) {
            int digit = i == 7 && coarse.singleWraps() ? 2 * digits[7] : digits[i];
            y[i] = i == 1 ? first : 2 * digit + odd - ratio;
            sum += y[i];
        }
        int b = sum >> 1 & 1;
        if (b == 1 && ratio % 2 == 0) {
            y[7] += (y[7] + ratio & 2) == 0 ? 2 : -2;
        }
        shorten(y, coarse.singleWraps() ? 0 : b);
    }

    /**
     * Finds the leader of a lattice point's coset: encodes and decodes it.
     *
     * @param y a point of E8, doubled integers [8]
     * @param leader receives the leader, doubled integers [8]; may be the same array
     */
    public void leaderOf(int[] y, int[] leader) {
        encode(y, leader);
        leader(leader, leader);
    }

    /**
     * Says whether a lattice point is the leader of its coset, that is whether it survives
     * encoding: false is overload.
     *
     * @param y a point of E8, doubled integers [8]
     * @return what comparing y with the decoded leader says
     */
    public boolean isLeader(int[] y) {
        if (coarse == CoarseLattice.GOSSET || coarse == CoarseLattice.DUAL_CHECKERBOARD) {
            int side = sideOfVoronoiCell(y);
            if (side != 0) {
                return side < 0;
            }
        }
        int[] decoded = new int[DIMENSION];
        leaderOf(y, decoded);
        return Arrays.equals(y, decoded);
    }

    /**
     * Returns −1 inside the Voronoi cell of q·E8 or q·D8*, 1 outside and 0 on its border, where
     * only the tie rule knows. The facets of E8's cell belong to the 240 roots: {@code |x_i| +
     * |x_j| < q}, and {@code Σ±x < 2q} over even numbers of minus signs; those of D8*'s to {@code
     * ±e_i} and all {@code (±½)^8}: {@code |x_i| < q/2}, and {@code Σ|x_i| < 2q}.
     */
    private int sideOfVoronoiCell(int[] y) {
        int sum = 0;
        int signs = 0;
        int min = Integer.MAX_VALUE;
        int max = 0;
        int second = 0;
        for (int i = 0; i < DIMENSION; i++) {
            int size = Math.abs(y[i]);
            sum += size;
            signs ^= y[i];
            min = Math.min(min, size);
            second = Math.max(second, Math.min(max, size));
            max = Math.max(max, size);
        }
        if (coarse == CoarseLattice.DUAL_CHECKERBOARD) {
            return Integer.signum(Math.max(max - ratio, sum - 4 * ratio));
        }
        int integer = max + second - 2 * ratio;
        int half = sum - (signs >>> 31) * 2 * min - 4 * ratio;
        return Integer.signum(Math.max(integer, half));
    }

    /** Turns the representative c (with b wraps too few) into the leader, by the tie rule. */
    private void shorten(int[] c, int b) {
        int sum = 0;
        int negatives = 0;
        int max = 0;
        int min = Integer.MAX_VALUE;
        for (int i = 0; i < DIMENSION; i++) {
            int size = Math.abs(c[i]);
            sum += size;
            negatives += c[i] >>> 31;
            max = Math.max(max, size);
            min = Math.min(min, size);
        }
        if (coarse.fixedCoordinate()) {
            max = Math.abs(c[0]);
            min = max;
        }
        int farB = coarse.singleWraps() ? 0 : (negatives + b) & 1;
        // (norm of c − norm of far)/2q, each with its wrap made even
        int excess = sum - 4 * ratio + b * 2 * (ratio - max) - farB * 2 * min;
        boolean far = coarse.halfShift() && excess > 0;
        if (far) {
            for (int i = 0; i < DIMENSION; i++) {
                c[i] += c[i] < 0 ? ratio : -ratio;
            }
        }
        if ((far ? farB : b) == 1) {
            int i = coarse.fixedCoordinate() ? 0 : firstLargest(c);
            c[i] += c[i] < 0 ? 2 * ratio : -2 * ratio;
        }
    }

    private static int firstLargest(int[] c) {
        int index = 0;
        for (int i = 1; i < DIMENSION; i++) {
            if (Math.abs(c[i]) > Math.abs(c[index])) {
                index = i;
            }
        }
        return index;
    }

    @Override
    public String toString() {
        return name();
    }
}
