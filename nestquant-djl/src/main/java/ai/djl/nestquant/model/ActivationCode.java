package ai.djl.nestquant.model;

import ai.djl.nestquant.codec.Int8Rows;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.kernels.Kernels;

/**
 * Puts the rotated activations of tokens on int8 vectors with one scale each (NestQuant paper,
 * section 4).
 *
 * <p>With 4 bits an entry is that of a 16·E8 code on the ladder 3:4:5:7, exactly as weights are
 * coded; with 8 or 16 bits it is rounded on a scale that the largest entry sets. 16 bits stand in
 * for floats: an entry is off by at most 1/65278 of the token's largest. Stateless and safe for
 * concurrent use.
 */
final class ActivationCode {

    private ActivationCode() {}

    /**
     * Codes the tokens of a batch.
     *
     * @param rows {@code [tokens][columns]}, rotated
     * @param tokens the number of rows
     * @param bits 4, 8 or 16
     * @return the integers and scales
     * @throws IllegalArgumentException if an entry is not finite
     */
    static Int8Rows code(float[] rows, int tokens, int bits) {
        if (bits != 4) {
            return Int8Rows.round(rows, tokens, bits);
        }
        return Kernels.best().encodeIntegers(PackedCode.E8_16, rows, tokens);
    }

    /**
     * Returns what tokens are decoded to after coding.
     *
     * @param rows {@code [tokens][columns]}, rotated where the code asks for it; not changed
     * @param tokens the number of rows
     * @param bits 4, 8 or 0 for floats
     * @param simulated what stands for 4 bits, or null for the lattice code
     */
    static float[] decoded(float[] rows, int tokens, int bits, SimulatedCode simulated) {
        if (bits == 4 && simulated != null) {
            float[] coded = rows.clone();
            simulated.apply(coded, tokens);
            return coded;
        }
        return bits == 0 ? rows : code(rows, tokens, bits).decode();
    }
}
