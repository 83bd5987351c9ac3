package ai.djl.nestquant.calibration;

import ai.djl.nestquant.linalg.BlockLdl;
import ai.djl.nestquant.linalg.Cholesky;
import ai.djl.nestquant.linalg.NotPositiveDefiniteException;

/**
 * All that rounding needs to know about the inputs of a weight: the factors of {@code H +
 * damping·mean(diag H)·I}, and where inputs are coded to x̂ = x + z, how far that moves the target.
 *
 * <p>While it is made it takes {@code 6·n²} bytes beside the moments, afterwards {@code 2·n²}, or
 * {@code 6·n²} with noise. Immutable and thread-safe.
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
     * @param hessian H = E[x̂x̂ᵀ], {@code [n][n]}; E[xxᵀ] without noise
     * @param noise E[x̂zᵀ], {@code [n][n]}, or null for none
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
        double[][] damped = new double[n][];
        for (int i = 0; i < n; i++) {
            damped[i] = new double[i + 1];
            for (int j = 0; j <= i; j++) {
                damped[i][j] = hessian[i * n + j];
            }
            damped[i][i] += ridge;
        }
        try {
            Cholesky cholesky = Cholesky.factor(damped);
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
