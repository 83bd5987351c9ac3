package ai.djl.nestquant.codec;

/**
 * A small binary floating point format: rounding to nearest, ties to even, gradual underflow,
 * saturation at its largest number.
 *
 * @param mantissaBits stored bits after the leading one
 * @param minExponent exponent of the smallest normal number
 * @param largest the largest finite number
 */
record FloatFormat(int mantissaBits, int minExponent, float largest) {
    /** IEEE 754 binary16. */
    static final FloatFormat FP16 = new FloatFormat(10, -14, 65504);

    /** OCP FP8 E4M3: no infinities, so 448 is the largest number. */
    static final FloatFormat E4M3 = new FloatFormat(3, -6, 448);

    /** OCP FP4 E2M1: 0, ±½, ±1, ±1½, ±2, ±3, ±4, ±6. */
    static final FloatFormat E2M1 = new FloatFormat(1, 0, 6);

    /** Returns the number of this format that is nearest to x. */
    float round(float x) {
        int exponent = Math.max(Math.getExponent(x), minExponent);
        double quantum = Math.scalb(1.0, exponent - mantissaBits);
        double rounded = Math.rint(x / quantum) * quantum;
        return (float) Math.max(-largest, Math.min(largest, rounded));
    }

    /**
     * Rounds a scale that has to be stored.
     *
     * @throws IllegalArgumentException if it is beyond the format, naming the row's offset
     */
    float storeScale(float scale, int offset) {
        if (scale > largest) {
            throw new IllegalArgumentException(
                    "the row at offset "
                            + offset
                            + " needs the scale "
                            + scale
                            + ", its format ends at "
                            + largest
                            + "; divide the row by a constant first");
        }
        return round(scale);
    }
}
