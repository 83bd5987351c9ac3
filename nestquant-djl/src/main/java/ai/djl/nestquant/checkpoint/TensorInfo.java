package ai.djl.nestquant.checkpoint;

import java.util.Arrays;

/**
 * What a safetensors header says of one tensor, after validation.
 *
 * <p>Thread-safe (immutable).
 */
public final class TensorInfo {

    private final String name;
    private final TensorType type;
    private final long[] shape;
    private final long elements;
    private final long offset;

    TensorInfo(String name, TensorType type, long[] shape, long elements, long offset) {
        this.name = name;
        this.type = type;
        this.shape = shape.clone();
        this.elements = elements;
        this.offset = offset;
    }

    /**
     * Returns the name of the tensor.
     *
     * @return the name, as the file spells it
     */
    public String name() {
        return name;
    }

    /**
     * Returns the type of the elements.
     *
     * @return the stored type
     */
    public TensorType type() {
        return type;
    }

    /**
     * Returns the shape, outermost dimension first; a matrix is {@code [outFeatures][inFeatures]}.
     *
     * @return a copy of the dimensions; empty for a scalar
     */
    public long[] shape() {
        return shape.clone();
    }

    /**
     * Returns the number of elements, the product of the dimensions.
     *
     * @return the number of elements, 1 for a scalar
     */
    public long elements() {
        return elements;
    }

    /**
     * Returns the stored size, {@code elements · type.bytes}.
     *
     * @return the size in bytes
     */
    public long byteLength() {
        return elements * type.bytes();
    }

    /**
     * Returns where the first element stands.
     *
     * @return the offset in bytes from the start of the file
     */
    public long offset() {
        return offset;
    }

    boolean hasShape(long... expected) {
        return Arrays.equals(shape, expected);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return name + ' ' + type + Arrays.toString(shape);
    }
}
