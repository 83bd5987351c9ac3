package ai.djl.nestquant.codec;

/**
 * Pieces of a row of integers with one scale.
 *
 * @param scale what the integers are multiplied by; 0 for a row of zeros
 * @param least the smallest integer
 * @param largest the largest integer
 */
record FixedIntegers(float scale, int least, int largest) implements RowPieces {

    @Override
    public int width() {
        return PackedMatrix.BLOCK;
    }

    @Override
    public void quantize(float[] x, int offset, float[] decoded) {
        for (int i = 0; i < width(); i++) {
            float integer = scale == 0 ? 0 : (float) Math.rint(x[offset + i] / scale);
            decoded[i] = scale * Math.max(least, Math.min(largest, integer));
        }
    }
}
