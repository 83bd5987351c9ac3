package ai.djl.nestquant.calibration;

import ai.djl.nestquant.linalg.BlockLdl;
import ai.djl.nestquant.linalg.Cholesky;
import ai.djl.nestquant.linalg.NotPositiveDefiniteException;

/**
 * All that rounding needs to know about the inputs of a weight: the factors of {@code H + J +
 * damping·mean(diag H)·I}, J the covariance of what is lost when inputs are coded, or 0.
 *
 * <p>The damping counts as part of H. While it is made it takes {@code 6·n²} bytes beside H and J,
 * afterwards {@code 2·n²}, or {@code 6·n²} with J. Immutable and thread-safe.
 */
public final class InputFactors {

    private final Ldlq ldlq;
    private final QaTarget target;

    private InputFactors(Ldlq ldlq, QaTarget target) {
        this.ldlq = ldlq;
        this.target = target;
    }

    /**
     * Factors the moments of an input.
     *
     * @param name the weight's name, for error messages
     * @param hessian H = E[xxᵀ], {@code [n][n]}
     * @param noise J, {@code [n][n]}, or null for none
     * @param damping what is added to the diagonal, in units of H's mean diagonal
     * @param width entries that are rounded together
     * @return the factors
     * @throws IllegalArgumentException if the matrix has none
     */
    public static InputFactors of(
            String name, float[] hessian, float[] noise, double damping, int width) {
        int n = (int) Math.round(Math.sqrt(hessian.length));
        double trace = 0;
        for (int i = 0; i < n; i++) {
            trace += hessian[i * n + i];
        }
        // inputs that are all zero leave nothing to lose
        double ridge = trace == 0 ? 1 : damping * trace / n;
        double[][] sum = new double[n][];
        for (int i = 0; i < n; i++) {
            sum[i] = new double[i + 1];
            for (int j = 0; j <= i; j++) {
                int at = i * n + j;
                sum[i][j] = noise == null ? hessian[at] : (double) hessian[at] + noise[at];
            }
            sum[i][i] += ridge;
        }
        try {
            Cholesky cholesky = Cholesky.factor(sum);
            Ldlq ldlq = new Ldlq(BlockLdl.of(cholesky, width));
            return new InputFactors(ldlq, noise == null ? null : new QaTarget(noise, cholesky));
        } catch (NotPositiveDefiniteException e) {
            throw new IllegalArgumentException(
                    "the Hessian of the inputs of %s does not factor with damping=%s (%s); use a larger damping or a longer calibration text"
                            .formatted(name, damping, e.getMessage()),
                    e);
        }
    }

    /** Moves rows {@code [count][n]} in place to what is to be rounded, if inputs are noisy. */
    public void toTargets(float[] rows, int count) {
        if (target != null) {
            target.apply(rows, count);
        }
    }

    /** Returns the rounding. */
    public Ldlq ldlq() {
        return ldlq;
    }
}
