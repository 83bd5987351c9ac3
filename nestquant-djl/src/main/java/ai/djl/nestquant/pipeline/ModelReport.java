package ai.djl.nestquant.pipeline;

/**
 * What a model is and what its weights take.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param architecture the {@code model_type} of its configuration, such as {@code llama}
 * @param parameters all weights, coded ones counted as the weights they stand for
 * @param quantizedParameters the weights that are held as codes
 * @param bitsPerWeight bits that a coded weight is stored in, scales included; 32 where none is
 * @param weightBytes the bytes of all weights, coded or not
 * @param kernels what computes products with the coded weights; {@code PyTorch} where none is coded
 * @param layers the number of decoder layers
 * @param kvBytesPerToken the bytes that keys and values of a token take in the cache
 * @param kvBytes the bytes that they take for the tokens of a context
 */
public record ModelReport(
        String architecture,
        long parameters,
        long quantizedParameters,
        double bitsPerWeight,
        long weightBytes,
        String kernels,
        int layers,
        double kvBytesPerToken,
        long kvBytes) {}
