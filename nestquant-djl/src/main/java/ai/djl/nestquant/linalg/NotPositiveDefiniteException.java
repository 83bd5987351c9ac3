package ai.djl.nestquant.linalg;

/** Thrown when a symmetric matrix has no Cholesky factor. */
public final class NotPositiveDefiniteException extends IllegalArgumentException {

    private static final long serialVersionUID = 1L;

    NotPositiveDefiniteException(int index, double pivot) {
        super("pivot " + index + " is " + pivot + ", so the matrix is not positive definite");
    }
}
