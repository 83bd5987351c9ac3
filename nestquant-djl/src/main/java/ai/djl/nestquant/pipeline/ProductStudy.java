package ai.djl.nestquant.pipeline;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The synthetic experiment of the NestQuant paper: two n × n Gaussian matrices are stored column by
 * column, and their product AᵀB is compared with the exact one, beside the lower bound of
 * Ordentlich and Polyanskiy.
 *
 * <p>Stateless and thread-safe; a run uses all cores and about 32·n² bytes, half of it Java heap.
 */
public final class ProductStudy {
    private static final int LARGEST_SIZE = 16384;

    private ProductStudy() {}

    /**
     * What to measure.
     *
     * @param size n, a multiple of 32
     * @param seed seed of the matrices
     */
    public record Options(int size, long seed) {
        /** The paper's size. */
        public static final Options DEFAULT = new Options(4096, 2026);

        /**
         * Checks the options.
         *
         * @throws IllegalArgumentException if size is no multiple of 32 up to 16384
         */
        public Options {
            if (size < 32 || size > LARGEST_SIZE || size % 32 != 0) {
                throw new IllegalArgumentException(
                        "size " + size + " is no multiple of 32 from 32 to " + LARGEST_SIZE);
            }
        }
    }

    /**
     * Runs the study over the codes of {@link StudyCodes}.
     *
     * @param options size and seed
     * @param progress told after each code
     * @return the report, rows ascending in rate
     */
    public static ProductReport run(Options options, StudyProgress progress) {
        return run(options, StudyCodes.forProducts(options.size), progress);
    }

    /**
     * Runs the study over some codes.
     *
     * @param options size and seed
     * @param codes what to measure
     * @param progress told after each code
     * @return the report, rows ascending in rate
     */
    static ProductReport run(Options options, List<StudyCode> codes, StudyProgress progress) {
        int n = options.size;
        // row i is column i of the matrix
        float[] a = GaussianRows.draw(n, n, options.seed);
        float[] b = GaussianRows.draw(n, n, options.seed + 1);
        List<ProductReport.Row> rows = new ArrayList<>();
        try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
            NDArray exact = product(manager, a, b, n);
            for (StudyCode code : codes) {
                rows.add(measure(code, a, b, exact));
                progress.measured(code.quantizer().name(), rows.size(), codes.size());
            }
        }
        rows.sort(Comparator.comparingDouble(ProductReport.Row::bitsPerEntry));
        return new ProductReport(n, options.seed, RateBounds.CRITICAL_RATE, List.copyOf(rows));
    }

    private static ProductReport.Row measure(StudyCode code, float[] a, float[] b, NDArray exact) {
        int n = (int) exact.getShape().get(0);
        CodedRows codedA = CodedRows.of(code.quantizer(), a, n);
        CodedRows codedB = CodedRows.of(code.quantizer(), b, n);
        double error;
        try (NDManager manager = exact.getManager().newSubManager()) {
            NDArray product = product(manager, codedA.entries(), codedB.entries(), n);
            error = product.subi(exact).square().mean().getFloat() / n;
        }
        double rate = code.quantizer().bitsPerEntry(n);
        double bound = RateBounds.productError(rate);
        return new ProductReport.Row(
                code.family(),
                code.code(),
                code.k(),
                rate,
                error,
                bound,
                RateBounds.decibels(error, bound),
                (codedA.distortion() + codedB.distortion()) / 2);
    }

    /** Returns AᵀB, [n][n], for the columns of A and B. */
    private static NDArray product(NDManager manager, float[] a, float[] b, int n) {
        Shape shape = new Shape(n, n);
        try (NDArray left = manager.create(a, shape);
                NDArray right = manager.create(b, shape);
                NDArray transposed = right.transpose()) {
            return left.matMul(transposed);
        }
    }
}
