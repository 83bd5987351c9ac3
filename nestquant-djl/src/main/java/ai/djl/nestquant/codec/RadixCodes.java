package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.GossetLattice;
import ai.djl.nestquant.lattice.VoronoiCode;
import java.math.BigInteger;

/**
 * Codes of many blocks as one number in mixed radix, for any nesting ratio: less than a byte is
 * lost per number.
 *
 * <p>A code's rank is {@code d_0 + r_0·(d_1 + r_1·(d_2 + …))} with its digits d and their radices
 * r; with N cosets, the number of blocks 0..n−1 is {@code Σ rank_b·N^b}, stored little-endian in
 * the fewest bytes that hold {@code N^n − 1}. Immutable and thread-safe.
 */
public final class RadixCodes {
    private static final int DIMENSION = GossetLattice.DIMENSION;

    private final VoronoiCode code;
    private final BigInteger cosets;

    /**
     * Makes the layout of a code.
     *
     * @param code any code
     */
    public RadixCodes(VoronoiCode code) {
        this.code = code;
        BigInteger product = BigInteger.ONE;
        for (int i = 0; i < DIMENSION; i++) {
            product = product.multiply(BigInteger.valueOf(code.radix(i)));
        }
        this.cosets = product;
    }

    /**
     * Returns the bytes of a number.
     *
     * @param blocks how many blocks it holds
     * @return ⌈bits of N^blocks − 1, in bytes⌉
     */
    public int bytes(int blocks) {
        return (cosets.pow(blocks).subtract(BigInteger.ONE).bitLength() + 7) / 8;
    }

    /**
     * Packs the cosets of lattice points.
     *
     * @param points points of E8, doubled integers [blocks][8]
     * @return the number, little-endian, {@link #bytes bytes(blocks)} long
     */
    public byte[] pack(int[] points) {
        int blocks = points.length / DIMENSION;
        int[] y = new int[DIMENSION];
        BigInteger number = BigInteger.ZERO;
        for (int block = blocks - 1; block >= 0; block--) {
            System.arraycopy(points, block * DIMENSION, y, 0, DIMENSION);
            number = number.multiply(cosets).add(rank(y));
        }
        byte[] bigEndian = number.toByteArray();
        byte[] packed = new byte[bytes(blocks)];
        for (int i = 0; i < Math.min(packed.length, bigEndian.length); i++) {
            packed[i] = bigEndian[bigEndian.length - 1 - i];
        }
        return packed;
    }

    /**
     * Unpacks to coset leaders.
     *
     * @param packed the number, little-endian
     * @param blocks how many blocks it holds
     * @return the leaders, doubled integers [blocks][8]
     * @throws IllegalArgumentException if the length is not that of {@code blocks} blocks, or the
     *     number is N^blocks or more
     */
    public int[] unpack(byte[] packed, int blocks) {
        if (packed.length != bytes(blocks)) {
            throw new IllegalArgumentException(
                    blocks
                            + " blocks of "
                            + code.name()
                            + " take "
                            + bytes(blocks)
                            + " bytes, got "
                            + packed.length);
        }
        byte[] bigEndian = new byte[packed.length];
        for (int i = 0; i < packed.length; i++) {
            bigEndian[i] = packed[packed.length - 1 - i];
        }
        BigInteger number = new BigInteger(1, bigEndian);
        int[] points = new int[blocks * DIMENSION];
        int[] y = new int[DIMENSION];
        for (int block = 0; block < blocks; block++) {
            BigInteger[] division = number.divideAndRemainder(cosets);
            number = division[0];
            leader(division[1].longValue(), y);
            System.arraycopy(y, 0, points, block * DIMENSION, DIMENSION);
        }
        if (number.signum() != 0) {
            throw new IllegalArgumentException(
                    "corrupt codes: the number exceeds " + blocks + " blocks of " + code.name());
        }
        return points;
    }

    private BigInteger rank(int[] y) {
        code.encode(y, y);
        long rank = 0;
        for (int i = DIMENSION - 1; i >= 0; i--) {
            rank = rank * code.radix(i) + y[i];
        }
        // 256^8 ranks fill an unsigned long
        return new BigInteger(Long.toUnsignedString(rank));
    }

    private void leader(long rank, int[] y) {
        long rest = rank;
        for (int i = 0; i < DIMENSION; i++) {
            y[i] = (int) Long.remainderUnsigned(rest, code.radix(i));
            rest = Long.divideUnsigned(rest, code.radix(i));
        }
        code.leader(y, y);
    }
}
