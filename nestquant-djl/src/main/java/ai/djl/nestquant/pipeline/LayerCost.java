package ai.djl.nestquant.pipeline;

/**
 * What one part of a method costs in one decoder layer, all else being float.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param method the quantization's text form
 * @param layer the layer's index
 * @param part {@code W}, {@code A} or {@code KV}
 * @param klDivergence nats per predicted token from the float model; of {@code A}, which needs
 *     coded weights, what the layer's activations add to them
 */
public record LayerCost(String method, int layer, String part, double klDivergence) {

    static final String WEIGHTS = "W";
    static final String ACTIVATIONS = "A";
    static final String CACHE = "KV";
}
