package ai.djl.nestquant.model;

import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.Block;

/**
 * Reads a float model part by part, lets the calibration text pass through each part, and puts it
 * on codes: embedding, layers from first to last, final norm and head, in this order.
 *
 * <p>Each part's float weights are freed before the next one is read; codes and what stays float
 * belong to the manager that the caller names. Not safe for concurrent use.
 */
final class LayerCoder implements AutoCloseable {

    private final LayerReader reader;
    private final QuantizationConfig quantization;
    private final CalibrationPass calibration;

    /**
     * Begins at the embedding.
     *
     * @param reader reads the float model
     * @param quantization what to put on codes
     * @param calibrationIds the text to calibrate for; null or empty for none
     * @param parent the parent of the calibration's memory
     * @throws IllegalArgumentException if {@code head=w4} is asked of a tied head with a code that
     *     is simulated in floats, the quantization names a block that the model does not have, or a
     *     token id is outside the vocabulary
     */
    LayerCoder(
            LayerReader reader,
            QuantizationConfig quantization,
            long[] calibrationIds,
            NDManager parent)
            throws MalformedModelException {
        this.reader = reader;
        this.quantization = quantization;
        LinearShape.checkNames(reader.config, quantization);
        if (reader.config.tiedEmbeddings()
                && quantization.head() == QuantizationConfig.Head.W4
                && quantization.code().simulated()) {
            throw new IllegalArgumentException(
                    "head=w4 with a code that is simulated in floats needs an output head of its"
                            + " own, but this model's head is its embedding; use head=int8 or"
                            + " head=float");
        }
        calibration =
                calibrationIds == null || calibrationIds.length == 0
                        ? null
                        : new CalibrationPass(reader, quantization, calibrationIds, parent);
    }

    /** Reads and codes the embedding. */
    Vocabulary embedding(NDManager owner) throws MalformedModelException {
        boolean tied = reader.config.tiedEmbeddings();
        if (!quantization.codesEmbedding(tied)) {
            return new FloatVocabulary(reader.vocabulary(LayerReader.EMBEDDING, owner));
        }
        RotatedRows rows =
                reader.vocabularyRows(
                        LayerReader.EMBEDDING, quantization.rotation(reader.config.hiddenSize()));
        return quantization.packsEmbedding(tied)
                ? CodedVocabulary.encode(
                        LayerReader.EMBEDDING,
                        rows,
                        quantization.weightCode(),
                        quantization.activationBits(),
                        owner)
                : CodedVocabulary.encode(LayerReader.EMBEDDING, rows, owner);
    }

    /** Reads, calibrates and codes a layer. */
    Block layer(int index, NDManager owner) throws MalformedModelException {
        String name = LayerReader.layerName(index);
        DecoderLayer layer = reader.layer(index, owner);
        BlockTransformer transformer = new BlockTransformer(quantization, owner);
        return calibration == null
                ? transformer.transform(name, layer)
                : calibration.transform(name, layer, transformer);
    }

    /**
     * Lets the calibration text pass a layer that has been coded before.
     *
     * @param index the layer, from 0
     * @param coded reads it
     * @param scope owns what is read meanwhile
     */
    void pass(int index, LayerReader coded, NDManager scope) throws MalformedModelException {
        if (quantization.calibrates()) {
            calibration.passCoded(coded.layer(index, scope));
        } else if (calibration != null) {
            calibration.pass(reader.layer(index, scope));
        }
    }

    /**
     * The last norm and the head that reads what it gives.
     *
     * @param norm the norm
     * @param head the head, or null where the embedding is the head too
     */
    record Output(Block norm, Block head) {}

    /** Reads, calibrates and codes what comes after the last layer. */
    Output output(NDManager owner) throws MalformedModelException {
        Block norm = reader.finalNorm(owner);
        if (reader.config.tiedEmbeddings()) {
            return new Output(norm, null);
        }
        Block head = reader.head(owner);
        if (calibration != null) {
            calibration.balanceHead(LayerReader.HEAD, norm, head);
        }
        switch (quantization.head()) {
            case W4:
                BlockTransformer transformer = new BlockTransformer(quantization, owner);
                head =
                        calibration == null
                                ? transformer.transform(LayerReader.HEAD, head)
                                : calibration.transformHead(
                                        LayerReader.HEAD, norm, head, transformer);
                break;
            case INT8:
                if (quantization.codesVocabulary(LayerReader.HEAD)) {
                    try (NDArray weight = head.getParameters().get("weight").getArray()) {
                        RotatedRows rows =
                                new RotatedRows(
                                        weight, quantization.rotation(reader.config.hiddenSize()));
                        head = CodedVocabulary.encode(LayerReader.HEAD, rows, owner);
                    }
                }
                break;
            default:
                break;
        }
        return new Output(norm, head);
    }

    /** Frees what the calibration holds. */
    @Override
    public void close() {
        if (calibration != null) {
            calibration.close();
        }
    }
}
