package ai.djl.nestquant.codec;

import ai.djl.nestquant.lattice.GossetLattice;
import ai.djl.nestquant.lattice.VoronoiCode;

/**
 * Encodes blocks of eight entries: fine lattice E8 × coarse lattice × beta set.
 *
 * <p>For each β the nearest point of E8 to {@code x/β} is a candidate if it is its coset's leader
 * (else it overloads); the policy picks among them. Where every β overloads, the block is shortened
 * until the largest β holds it, and counts as overloaded.
 *
 * <p>This is the specification of a native twin: both compute in float, in the same order. Holds
 * scratch: one instance per thread.
 */
public final class BlockEncoder {
    // small steps find points near the cell's border; .96 to .98 differ by 0.2% in distortion
    private static final float SHORTENING = 0.975f;

    private static final int INNER_ATTEMPTS = 3;
    // q = 2 has cells no larger than the rounding
    private static final double SMALLEST_COVERED_RADIUS = 0.25;
    private static final float SMALLEST_SCALE = 1e-16f;
    private static final float LARGEST_SCALE = 1e16f;

    private final VoronoiCode code;
    private final BetaSet betas;
    private final BetaPolicy policy;
    private final float[] beta; // β_j·rowScale, and its inverse
    private final float[] inverse;
    private final float[] reach; // squared norm of x beyond which β_j overloads for sure
    private final float[] shortened = new float[GossetLattice.DIMENSION]; // in units of β
    private final float[] overloading; // error of β_j's nearest point; infinite unless overloaded
    private float least;
    private int[] point = new int[GossetLattice.DIMENSION];
    private int[] candidate = new int[GossetLattice.DIMENSION];
    private int betaIndex;
    private boolean overloaded;

    /**
     * Makes an encoder.
     *
     * @param code the cosets of E8 that can be stored
     * @param betas the scales that can be stored
     * @param policy how a block picks its scale
     */
    public BlockEncoder(VoronoiCode code, BetaSet betas, BetaPolicy policy) {
        this.code = code;
        this.betas = betas;
        this.policy = policy;
        this.beta = new float[betas.size()];
        this.inverse = new float[betas.size()];
        this.reach = new float[betas.size()];
        this.overloading = new float[betas.size()];
    }

    /** Returns the scales that can be stored. */
    public BetaSet betas() {
        return betas;
    }

    /**
     * Returns the norm up to which every block surely fits at row scale 1: the largest β's cell,
     * less E8's covering radius for the rounding.
     */
    double coveredNorm() {
        int last = betas.size() - 1;
        double radius = Math.min(code.innerRadius(), betas.largestCoordinate(last) / 2);
        return betas.beta(last) * Math.max(radius - 1, SMALLEST_COVERED_RADIUS);
    }

    /**
     * Sets the row scale for the blocks that follow.
     *
     * @param rowScale from 1e-16 to 1e16, where squares are normal floats; all β are in its units
     * @throws IllegalArgumentException if it is outside
     */
    public void setRowScale(float rowScale) {
        if (!(rowScale >= SMALLEST_SCALE && rowScale <= LARGEST_SCALE)) {
            throw new IllegalArgumentException(
                    "row scale " + rowScale + " is outside 1e-16..1e16; rescale the rows");
        }
        // a leader's norm plus E8's covering radius
        double longest = code.largestNorm() + 1;
        for (int j = 0; j < betas.size(); j++) {
            double scaled = betas.beta(j) * rowScale;
            beta[j] = (float) scaled;
            inverse[j] = (float) (1 / scaled);
            reach[j] = (float) (scaled * scaled * longest * longest);
        }
    }

    /**
     * Encodes one block; {@link #point}, {@link #betaIndex} and {@link #overloaded} tell the
     * result.
     *
     * @param x entries, finite
     * @param offset index of the block's first entry
     * @return the squared error of the decoded block
     */
    public float encode(float[] x, int offset) {
        float norm = squaredNorm(x, offset);
        least = Float.POSITIVE_INFINITY;
        for (int j = 0; j < inverse.length; j++) {
            overloading[j] = Float.POSITIVE_INFINITY;
            if (norm <= reach[j] && tryBeta(j, x, offset) && policy == BetaPolicy.FIRST_FIT) {
                break;
            }
        }
        if (policy == BetaPolicy.INNER_FIT) {
            float fitting = least;
            for (int j = 0; j < inverse.length; j++) {
                if (overloading[j] < fitting) {
                    tryShortened(j, x, offset, 1, INNER_ATTEMPTS);
                }
            }
        }
        overloaded = least == Float.POSITIVE_INFINITY;
        if (overloaded) {
            int largest = inverse.length - 1;
            float factor = (float) Math.min(1, Math.sqrt(reach[largest] / norm));
            tryShortened(largest, x, offset, factor, Integer.MAX_VALUE);
        }
        return least;
    }

    /** Returns the last block's lattice point, a leader in doubled integers [8]; reused. */
    public int[] point() {
        return point;
    }

    /** Returns the last block's index into the beta set. */
    public int betaIndex() {
        return betaIndex;
    }

    /** Returns whether no β held the last block as it was. */
    public boolean overloaded() {
        return overloaded;
    }

    /** Keeps the nearest point of {@code x/β_j} if it fits and is better. */
    private boolean tryBeta(int j, float[] x, int offset) {
        float distance = GossetLattice.nearest(x, offset, inverse[j], candidate);
        float error = distance * beta[j] * beta[j];
        if (error >= least) {
            return false;
        }
        if (!fits(j)) {
            overloading[j] = error;
            return false;
        }
        keepCandidate(j, error);
        return true;
    }

    /**
     * Clamps the block to coordinates that can be stored, then shortens it until it fits or is no
     * better.
     */
    private void tryShortened(int j, float[] x, int offset, float firstFactor, int attempts) {
        float box = betas.largestCoordinate(j) * 0.5f;
        float factor = firstFactor;
        for (int attempt = 0; attempt < attempts; attempt++) {
            for (int i = 0; i < shortened.length; i++) {
                shortened[i] = factor * Math.max(-box, Math.min(box, x[offset + i] * inverse[j]));
            }
            factor *= SHORTENING;
            GossetLattice.nearest(shortened, 0, 1, candidate);
            float error = error(j, x, offset);
            if (error >= least) {
                return;
            }
            if (fits(j)) {
                keepCandidate(j, error);
                return;
            }
        }
    }

    private boolean fits(int j) {
        int largest = betas.largestCoordinate(j);
        for (int coordinate : candidate) {
            if (Math.abs(coordinate) > largest) {
                return false;
            }
        }
        return code.isLeader(candidate);
    }

    private float error(int j, float[] x, int offset) {
        float halfStep = 0.5f * beta[j];
        float error = 0;
        for (int i = 0; i < candidate.length; i++) {
            float difference = x[offset + i] - candidate[i] * halfStep;
            error += difference * difference;
        }
        return error;
    }

    private void keepCandidate(int j, float error) {
        int[] swap = point;
        point = candidate;
        candidate = swap;
        betaIndex = j;
        least = error;
    }

    static float squaredNorm(float[] x, int offset) {
        float sum = 0;
        for (int i = 0; i < GossetLattice.DIMENSION; i++) {
            sum += x[offset + i] * x[offset + i];
        }
        return sum;
    }
}
