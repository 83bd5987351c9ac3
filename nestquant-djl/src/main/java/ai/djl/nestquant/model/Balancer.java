package ai.djl.nestquant.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nestquant.checkpoint.ModelConfig;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.util.Pair;

/**
 * Balances the channels of the inputs of float {@link ai.djl.nn.core.Linear} blocks in place, so
 * that rotated and coded they lose less; the function that a layer computes stays the same.
 *
 * <p>The {@link BalancingFactors} of an input multiply the columns of the weights that read it;
 * their inverses go into what writes it: RMSNorm's γ before q, k and v and before gate and up, the
 * rows of up_proj before down_proj, the rows of v_proj before o_proj (shared by the query heads of
 * a group, because they read the same values). Costs nothing at run time. Not safe for concurrent
 * use.
 */
final class Balancer {

    /** Columns of a weight that a thread sums up at once. */
    private static final int COLUMNS = 512;

    private final ModelConfig config;
    private final InputStatistics statistics;

    /**
     * Constructs a balancer.
     *
     * @param config the model's configuration
     * @param statistics of the inputs of all blocks that are to be balanced
     */
    Balancer(ModelConfig config, InputStatistics statistics) {
        this.config = config;
        this.statistics = statistics;
    }

    /**
     * Balances the four inputs within a decoder layer.
     *
     * @param name the layer's name, for error messages
     * @param layer the layer; its weights are changed
     * @throws IllegalArgumentException if a weight or an input is NaN or infinite
     */
    void balanceLayer(String name, DecoderLayer layer) {
        Block attention = child(layer, "self_attn");
        Block query = child(attention, "q_proj");
        Block key = child(attention, "k_proj");
        Block value = child(attention, "v_proj");
        Block output = child(attention, "o_proj");
        Block feedForward = child(layer, "mlp");
        Block gate = child(feedForward, "gate_proj");
        Block up = child(feedForward, "up_proj");
        Block down = child(feedForward, "down_proj");

        // all factors first: an error in a row counts as it did before the row was rescaled
        double[] ofAttention = factors(name + ".self_attn.q_proj", query, key, value);
        double[] ofValues = valueFactors(name + ".self_attn.o_proj", output);
        double[] ofFeedForward = factors(name + ".mlp.gate_proj", gate, up);
        double[] ofInner = factors(name + ".mlp.down_proj", down);

        divideRows(child(layer, "input_layernorm"), ofAttention);
        multiplyColumns(ofAttention, query, key, value);
        divideRows(value, ofValues);
        multiplyColumns(repeated(ofValues), output);
        divideRows(child(layer, "post_attention_layernorm"), ofFeedForward);
        multiplyColumns(ofFeedForward, gate, up);
        divideRows(up, ofInner);
        multiplyColumns(ofInner, down);
    }

    /**
     * Balances the input of an output head of its own.
     *
     * @param name the head's name, for error messages
     * @param norm the final norm; its weight is changed
     * @param head the head; its weight is changed
     * @throws IllegalArgumentException if a weight or an input is NaN or infinite
     */
    void balanceHead(String name, Block norm, Block head) {
        double[] factors = factors(name, head);
        divideRows(norm, factors);
        multiplyColumns(factors, head);
    }

    private double[] factors(String name, Block... readers) {
        return BalancingFactors.of(
                checkedMeanSquares(name, readers[0]), checkedSquaredNorms(name, readers));
    }

    private double[] valueFactors(String name, Block output) {
        int heads = config.kvHeads();
        int size = config.headSize();
        return BalancingFactors.of(
                BalancingFactors.sumOverGroups(checkedMeanSquares(name, output), heads, size),
                BalancingFactors.sumOverGroups(checkedSquaredNorms(name, output), heads, size));
    }

    private double[] repeated(double[] ofValues) {
        int channels = config.heads() * config.headSize();
        return BalancingFactors.repeatInGroups(
                ofValues, channels, config.kvHeads(), config.headSize());
    }

    private double[] checkedMeanSquares(String name, Block reader) {
        double[] meanSquares = statistics.meanSquares(reader);
        checkFinite(meanSquares, "the input of " + name + " in the calibration text");
        return meanSquares;
    }

    /** The squared norms of the columns of all weights that read an input. */
    private static double[] checkedSquaredNorms(String name, Block... readers) {
        double[] sums = null;
        for (Block reader : readers) {
            float[] norms = columnNorms(weight(reader));
            sums = sums == null ? new double[norms.length] : sums;
            for (int j = 0; j < norms.length; j++) {
                sums[j] += (double) norms[j] * norms[j];
            }
        }
        checkFinite(sums, "a weight that reads the input of " + name);
        return sums;
    }

    /** The norms of a weight's columns, each summed up in float from the first row to the last. */
    private static float[] columnNorms(NDArray weight) {
        int rows = Math.toIntExact(weight.getShape().get(0));
        int columns = Math.toIntExact(weight.getShape().get(1));
        FloatRows entries = new FloatRows(weight);
        float[] norms = new float[columns];
        Parallel.forEach(
                (columns + COLUMNS - 1) / COLUMNS,
                part -> {
                    int first = part * COLUMNS;
                    float[] row = new float[Math.min(COLUMNS, columns - first)];
                    float[] sums = new float[row.length];
                    for (int i = 0; i < rows; i++) {
                        entries.get(i, first, row);
                        addSquares(row, sums);
                    }
                    for (int j = 0; j < row.length; j++) {
                        norms[first + j] = (float) Math.sqrt(sums[j]);
                    }
                });
        return norms;
    }

    private static void addSquares(float[] row, float[] sums) {
        for (int j = 0; j < row.length; j++) {
            sums[j] = Math.fma(row[j], row[j], sums[j]);
        }
    }

    private static void checkFinite(double[] channels, String what) {
        for (int j = 0; j < channels.length; j++) {
            if (!Double.isFinite(channels[j])) {
                throw new IllegalArgumentException(
                        "cannot balance channel "
                                + j
                                + ": "
                                + what
                                + " is NaN or infinite there; check the checkpoint's weights of"
                                + " this layer and the ones before it");
            }
        }
    }

    /** {@code W := W·diag(s)}. */
    private static void multiplyColumns(double[] factors, Block... readers) {
        for (Block reader : readers) {
            NDArray weight = weight(reader);
            try (NDManager scope = weight.getManager().newSubManager()) {
                weight.muli(scope.create(floats(factors)));
            }
        }
    }

    /** {@code W := diag(1/s)·W}, and the same for a bias or a norm's γ. */
    private static void divideRows(Block writer, double[] factors) {
        for (Parameter parameter : writer.getDirectParameters().values()) {
            NDArray array = parameter.getArray();
            Shape perRow =
                    array.getShape().dimension() == 1
                            ? new Shape(factors.length)
                            : new Shape(factors.length, 1);
            try (NDManager scope = array.getManager().newSubManager()) {
                array.divi(scope.create(floats(factors), perRow));
            }
        }
    }

    private static float[] floats(double[] values) {
        float[] floats = new float[values.length];
        for (int j = 0; j < floats.length; j++) {
            floats[j] = (float) values[j];
        }
        return floats;
    }

    private static NDArray weight(Block linear) {
        return linear.getDirectParameters().get("weight").getArray();
    }

    /** DJL puts a two-digit number before the name that a child block was added with. */
    private static Block child(Block parent, String name) {
        for (Pair<String, Block> child : parent.getChildren()) {
            if (child.getKey().substring(2).equals(name)) {
                return child.getValue();
            }
        }
        throw new IllegalArgumentException(
                "balancing needs a block " + name + " among " + parent.getChildren().keys());
    }
}
