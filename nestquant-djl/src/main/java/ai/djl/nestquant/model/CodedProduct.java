package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.codec.CodedMatrix;
import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.kernels.Kernels;
import ai.djl.nestquant.kernels.StageClock;
import ai.djl.nestquant.kernels.StageClock.Stage;
import ai.djl.nn.core.Linear;
import java.nio.FloatBuffer;

/**
 * A coded matrix W {@code [rows][columns]} as blocks multiply by it, {@code y = xWᵀ}: few tokens
 * straight from the codes, many by decoding W panel by panel for the host engine.
 *
 * <p>Stateless and safe for concurrent use.
 */
final class CodedProduct {

    /** Up to this many tokens the packed product is faster than decoding the whole weight. */
    private static final int STEP_TOKENS = 4;

    /** Floats of a decoded panel, 16 MB: bounds what prefill needs beside the codes. */
    private static final int PANEL_FLOATS = 4 << 20;

    private final CodedMatrix w;
    private final int rows;
    private final int columns;

    CodedProduct(CodedMatrix w) {
        this.w = w;
        rows = w.rows();
        columns = w.columns();
    }

    /**
     * Multiplies.
     *
     * @param manager owns the result
     * @param x the tokens, {@code [tokens][columns]}
     * @return {@code [tokens][rows]}
     */
    NDArray multiply(NDManager manager, Int8Rows x) {
        return x.rows() <= STEP_TOKENS ? step(manager, x) : prefill(manager, x);
    }

    /** Multiplies straight from the codes. */
    private NDArray step(NDManager manager, Int8Rows x) {
        NDArray y = manager.create(new Shape(x.rows(), rows), DataType.FLOAT32);
        Kernels.best().multiply(w, x, y.toByteBuffer(true).asFloatBuffer());
        return y;
    }

    /** Decodes the weight panel by panel and lets the host engine multiply. */
    private NDArray prefill(NDManager manager, Int8Rows coded) {
        int tokens = coded.rows();
        int panelRows = Math.max(1, Math.min(rows, PANEL_FLOATS / columns));
        try (NDManager scope = manager.newSubManager()) {
            NDArray x = scope.create(coded.decode(), new Shape(tokens, columns));
            NDArray panel = scope.create(new Shape(panelRows, columns), DataType.FLOAT32);
            FloatBuffer decoded = panel.toByteBuffer(true).asFloatBuffer();
            if (panelRows == rows) {
                Kernels.best().decodeRows(w, 0, rows, decoded);
                return scope.ret(hostProduct(x, panel));
            }
            // filled in place: logits of a long prompt are too large to be held twice
            NDArray y = scope.create(new Shape(tokens, rows), DataType.FLOAT32);
            for (int from = 0; from < rows; from += panelRows) {
                int to = Math.min(rows, from + panelRows);
                Kernels.best().decodeRows(w, from, to, decoded);
                try (NDArray weight = panel.get(new NDIndex().addSliceDim(0, to - from));
                        NDArray part = hostProduct(x, weight)) {
                    y.set(new NDIndex().addAllDim().addSliceDim(from, to), part);
                }
            }
            return scope.ret(y);
        }
    }

    private static NDArray hostProduct(NDArray x, NDArray weight) {
        StageClock.enter(Stage.PRODUCTS);
        NDArray y = Linear.linear(x, weight).singletonOrThrow();
        StageClock.leave(Stage.PRODUCTS);
        return y;
    }
}
