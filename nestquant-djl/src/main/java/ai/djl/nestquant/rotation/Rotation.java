package ai.djl.nestquant.rotation;

import java.util.Arrays;
import java.util.List;
import java.util.StringJoiner;

/**
 * A fixed orthogonal rotation R of rows of any length, {@code (W·Rᵀ)·(R·x) = W·x}, after which the
 * entries of a row look Gaussian (NestQuant paper, section 4; QuaRot).
 *
 * <pre>
 *   R = (F_1 ⊗ F_2 ⊗ … ⊗ H_{2^a}) · diag(±1) / √c
 * </pre>
 *
 * <p>A row of n entries is padded with zeros to {@link #paddedLength()}, the first multiple of 8
 * that splits into factors F_i of known Hadamard matrices (Paley I and II over prime fields,
 * Williamson for 92, 116 and 172) and a power of two; it is at most 1/128 longer than the next
 * multiple of 8. Where there is none, a random orthonormal circulant takes the odd rest. Index
 * {@code ((i_1·m_2 + i_2) … )·2^a + i} belongs to coordinate i_1 of F_1, i_2 of F_2 and so on;
 * H_{2^a} is the Sylvester matrix; c is the product of the Hadamard orders, 2^a included.
 *
 * <p>The seed starts one SplitMix64 stream: {@code ceil(paddedLength / 64)} words give the signs
 * (bit i mod 64 of word i / 64, set means −1), then each random circulant draws one word for its
 * sign and one for each phase.
 *
 * <p>A row costs {@code paddedLength · (a + Σ taps)} operations, taps being m for Paley I and
 * Williamson and m/2 for Paley II.
 *
 * <p>Immutable and safe for use by many threads; scratch arrays belong to the caller ({@link
 * Workspace}) or to the call.
 */
public final class Rotation {

    private final int length;
    private final int paddedLength;
    private final long seed;
    private final OrthogonalFactor[] factors;
    private final int exponent;
    private final int order;

    /** [paddedLength], ±1/√c. */
    private final float[] signs;

    private Rotation(int length, long seed) {
        this.length = length;
        this.seed = seed;
        Factorization plan = Factorization.of(length);
        paddedLength = plan.paddedLength();
        exponent = plan.exponent();
        order = paddedLength >> exponent;
        SplitMix64 random = new SplitMix64(seed);
        float norm = (float) (1 / Math.sqrt((double) paddedLength / plan.randomPart()));
        signs = randomSigns(paddedLength, norm, random);
        List<Factorization.Spec> specs = plan.specs();
        factors = new OrthogonalFactor[specs.size()];
        for (int i = 0; i < factors.length; i++) {
            factors[i] = specs.get(i).build(random);
        }
    }

    private Rotation(int length) {
        this.length = length;
        seed = 0;
        paddedLength = Factorization.of(length).paddedLength();
        exponent = 0;
        order = 1;
        factors = new OrthogonalFactor[0];
        signs = new float[paddedLength];
        Arrays.fill(signs, 1);
    }

    private static float[] randomSigns(int n, float magnitude, SplitMix64 random) {
        float[] signs = new float[n];
        long word = 0;
        for (int i = 0; i < n; i++) {
            if ((i & 63) == 0) {
                word = random.next();
            }
            signs[i] = (word >>> i & 1) == 0 ? magnitude : -magnitude;
        }
        return signs;
    }

    /**
     * Returns the rotation of rows of the given length; the same arguments give the same rotation
     * on every machine.
     *
     * @param length the entries of a row, at least 1
     * @param seed the seed of the signs
     * @return the rotation
     * @throws IllegalArgumentException if the length is below 1 or above 2^28
     */
    public static Rotation of(int length, long seed) {
        checkLength(length);
        return new Rotation(length, seed);
    }

    /**
     * Returns the identity, which pads rows as {@link #of} does and leaves their entries alone.
     *
     * @param length the entries of a row, at least 1
     * @return R = I
     * @throws IllegalArgumentException if the length is below 1 or above 2^28
     */
    public static Rotation none(int length) {
        checkLength(length);
        return new Rotation(length);
    }

    private static void checkLength(int length) {
        if (length < 1 || length > 1 << 28) {
            throw new IllegalArgumentException(
                    "row length " + length + " is not between 1 and " + (1 << 28));
        }
    }

    /**
     * Returns the number of entries of a row before padding.
     *
     * @return the row length
     */
    public int length() {
        return length;
    }

    /**
     * Returns the number of entries that are rotated, a multiple of 8.
     *
     * @return the padded row length
     */
    public int paddedLength() {
        return paddedLength;
    }

    /**
     * Returns a: the Walsh-Hadamard factor has 2^a rows.
     *
     * @return the exponent
     */
    public int exponent() {
        return exponent;
    }

    /**
     * Returns the order of what is left beside the Walsh-Hadamard factor.
     *
     * @return {@code paddedLength / 2^exponent}; 1 for the identity
     */
    public int order() {
        return order;
    }

    /**
     * Returns the signs, each times the scaling {@code 1/√c}.
     *
     * @return [{@link #paddedLength()}], a copy
     */
    public float[] signs() {
        return signs.clone();
    }

    /**
     * Returns {@code F_1 ⊗ F_2 ⊗ …} as a matrix.
     *
     * @return [{@link #order()}][{@link #order()}], a copy
     */
    public float[] factor() {
        float[] matrix = new float[order * order];
        Workspace work = newWorkspace();
        float[] x = new float[paddedLength];
        for (int column = 0; column < order; column++) {
            Arrays.fill(x, 0);
            x[column << exponent] = 1;
            applyFactors(x, 0, false, work);
            for (int row = 0; row < order; row++) {
                matrix[row * order + column] = x[row << exponent];
            }
        }
        return matrix;
    }

    /**
     * Returns scratch arrays for {@link #apply(float[], int, Workspace)}; they serve every rotation
     * whose padded length is not greater.
     *
     * @return a new workspace, about 7 times the padded length
     */
    public Workspace newWorkspace() {
        return new Workspace(factors.length == 0 ? 0 : paddedLength);
    }

    /**
     * Replaces x by R·x.
     *
     * @param x {@link #paddedLength()} entries from offset on, those beyond {@link #length()} zero
     * @param offset the first entry
     * @throws IndexOutOfBoundsException if the row does not lie inside x
     */
    public void apply(float[] x, int offset) {
        apply(x, offset, newWorkspace());
    }

    /**
     * Replaces x by R·x without allocating.
     *
     * @param x {@link #paddedLength()} entries from offset on, those beyond {@link #length()} zero
     * @param offset the first entry
     * @param work the calling thread's workspace
     * @throws IndexOutOfBoundsException if the row does not lie inside x
     * @throws IllegalArgumentException if the workspace is that of a shorter rotation
     */
    public void apply(float[] x, int offset, Workspace work) {
        check(x, offset, 1, work);
        rotate(x, offset, work);
    }

    /**
     * Replaces x by Rᵀ·x, the inverse of {@link #apply(float[], int)} up to rounding.
     *
     * @param x {@link #paddedLength()} entries from offset on
     * @param offset the first entry
     * @throws IndexOutOfBoundsException if the row does not lie inside x
     */
    public void applyInverse(float[] x, int offset) {
        applyInverse(x, offset, newWorkspace());
    }

    /**
     * Replaces x by Rᵀ·x without allocating.
     *
     * @param x {@link #paddedLength()} entries from offset on
     * @param offset the first entry
     * @param work the calling thread's workspace
     * @throws IndexOutOfBoundsException if the row does not lie inside x
     * @throws IllegalArgumentException if the workspace is that of a shorter rotation
     */
    public void applyInverse(float[] x, int offset, Workspace work) {
        check(x, offset, 1, work);
        transform(x, offset, true, work);
        scale(x, offset);
    }

    /**
     * Replaces each of several consecutive rows by R times itself.
     *
     * @param x rows·{@link #paddedLength()} entries from offset on, [rows][paddedLength]
     * @param offset the first entry of the first row
     * @param rows the number of rows
     * @throws IndexOutOfBoundsException if the rows do not lie inside x
     */
    public void applyRows(float[] x, int offset, int rows) {
        Workspace work = newWorkspace();
        check(x, offset, rows, work);
        for (int row = 0; row < rows; row++) {
            rotate(x, offset + row * paddedLength, work);
        }
    }

    /**
     * Copies unpadded rows to padded ones and rotates them.
     *
     * @param rows [rowCount][length], one after the other
     * @param rowCount the number of rows
     * @return [rowCount][paddedLength]
     * @throws IllegalArgumentException if the array does not hold rowCount rows
     */
    public float[] padAndApply(float[] rows, int rowCount) {
        if (rows.length != (long) rowCount * length) {
            throw new IllegalArgumentException(
                    rows.length + " entries are not " + rowCount + " rows of length " + length);
        }
        float[] padded = new float[Math.multiplyExact(rowCount, paddedLength)];
        for (int row = 0; row < rowCount; row++) {
            System.arraycopy(rows, row * length, padded, row * paddedLength, length);
        }
        applyRows(padded, 0, rowCount);
        return padded;
    }

    private void rotate(float[] x, int offset, Workspace work) {
        scale(x, offset);
        transform(x, offset, false, work);
    }

    private void scale(float[] x, int offset) {
        for (int i = 0; i < paddedLength; i++) {
            x[offset + i] *= signs[i];
        }
    }

    /** The Kronecker product; its factors commute because each acts on a coordinate of its own. */
    private void transform(float[] x, int offset, boolean transposed, Workspace work) {
        WalshHadamard.apply(x, offset, paddedLength, exponent);
        applyFactors(x, offset, transposed, work);
    }

    private void applyFactors(float[] x, int offset, boolean transposed, Workspace work) {
        int outer = 1;
        int size = paddedLength;
        for (OrthogonalFactor factor : factors) {
            int run = size / factor.order();
            for (int block = 0; block < outer; block++) {
                factor.apply(x, offset + block * size, run, transposed, work);
            }
            outer *= factor.order();
            size = run;
        }
    }

    private void check(float[] x, int offset, int rows, Workspace work) {
        if (rows < 0 || offset < 0 || x.length - offset < (long) rows * paddedLength) {
            throw new IndexOutOfBoundsException(
                    rows
                            + " rows of "
                            + paddedLength
                            + " entries from offset "
                            + offset
                            + " do not lie inside an array of "
                            + x.length);
        }
        if (factors.length > 0 && work.sum.length < paddedLength) {
            throw new IllegalArgumentException(
                    "workspace for "
                            + work.sum.length
                            + " entries is too small for rows of "
                            + paddedLength);
        }
    }

    /**
     * Describes the split, for example {@code Rotation 576 = 36 (Paley II) x 2^4, seed 1}.
     *
     * @return the description
     */
    @Override
    public String toString() {
        return "Rotation " + split() + ", seed " + seed;
    }

    /**
     * Describes padding and factors, from the outermost to the innermost.
     *
     * @return for instance {@code 576 = 36 (Paley II) x 2^4} or {@code 49 padded to 56 = …}; the
     *     identity is {@code 576 = identity}
     */
    public String split() {
        String padding = length == paddedLength ? "" : length + " padded to ";
        if (order << exponent != paddedLength) {
            return padding + paddedLength + " = identity";
        }
        StringJoiner split = new StringJoiner(" x ");
        for (OrthogonalFactor factor : factors) {
            split.add(factor.order() + " (" + factor.construction() + ")");
        }
        split.add("2^" + exponent);
        return padding + paddedLength + " = " + split;
    }
}
