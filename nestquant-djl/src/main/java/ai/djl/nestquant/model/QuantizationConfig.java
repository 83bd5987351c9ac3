package ai.djl.nestquant.model;

import ai.djl.nestquant.checkpoint.ContainerConfig;
import ai.djl.nestquant.codec.PackedCode;
import ai.djl.nestquant.rotation.Rotation;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * What is put on lattice codes, with a compact text form.
 *
 * <p>The text is {@code none} or a preset such as {@code w4}, {@code w4a8}, {@code w4a8kv4} or
 * {@code w3a8kv4}: bits of weights, of the activations that go into them, and of keys and values in
 * the cache; a part that is left out stays float. Options may follow after commas, as in {@code
 * w4a8,code=e8,exclude=*.down_proj,w8=*.v_proj}: {@code balance}, {@code rotation}, {@code code},
 * {@code k}, {@code head}, {@code rounding}, {@code hessian}, {@code damping}, {@code exclude},
 * {@code only}, {@code w3}, {@code w4} and {@code w8}; docs/QUANTIZATION.md has a line for each. In
 * names of blocks {@code *} matches anything, and of several bits for a block the last one wins.
 * Immutable and safe for concurrent use.
 *
 * @param weightBits 3 or 4 if the weights of Linear blocks are on lattice codes (3.25 or 4.25 bits
 *     each), 8 if they are int8 rows, or 0
 * @param activationBits 4 (lattice codes) or 8 (int8 of the rotated token), or 0 for float
 * @param cacheBits 4 if keys and values are coded (4.25 bits each), or 0
 * @param balance whether channels are balanced before the rotation where weights are coded
 * @param rotate whether rows, tokens and head vectors are rotated before they are coded, where the
 *     code asks for it
 * @param code what stands for the bits of weights
 * @param scales k, the number of scales β that a block chooses among, or 0 for as many as the code
 *     has; 1 to 16 for {@link Code#NESTQUANT} and {@link Code#NESTQUANTM} only
 * @param head what becomes of embedding and output head
 * @param rounding how weights are rounded
 * @param hessian how much each token of a calibration text counts
 * @param damping what is added to the diagonal of a Hessian, in units of its mean; positive
 * @param excluded names of blocks that stay float, as in the checkpoint without {@code .weight}
 * @param only names of the blocks that are coded, all if empty
 * @param widths which blocks have other bits than the rest, in order
 */
public record QuantizationConfig(
        int weightBits,
        int activationBits,
        int cacheBits,
        boolean balance,
        boolean rotate,
        Code code,
        int scales,
        Head head,
        Rounding rounding,
        Hessian hessian,
        double damping,
        List<String> excluded,
        List<String> only,
        List<Width> widths) {

    /**
     * Bits for the blocks of a name.
     *
     * @param bits 3, 4 or 8
     * @param pattern the name, where {@code *} matches anything
     */
    public record Width(int bits, String pattern) {}

    /** How weights become codes. */
    public enum Rounding {
        /** Each block to what is nearest. */
        PLAIN,
        /** With feedback, so that the outputs for the calibration text change least. */
        LDLQ,
        /** As {@link #LDLQ}, for inputs with the noise that coded activations have. */
        QA_LDLQ;

        String key() {
            return name().toLowerCase(Locale.ROOT).replace('_', '-');
        }
    }

    /** How much the tokens of a calibration text count in {@code E[xxᵀ]}. */
    public enum Hessian {
        /** As their inputs are, so that long ones count more. */
        PLAIN,
        /** All the same: each input is divided by its norm. */
        NORMALIZED;

        String key() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** What embedding and output head are held as. */
    public enum Head {
        /** Both as rotated int8 rows with one scale each, 8 bits per weight, inputs as floats. */
        INT8,
        /**
         * The head like every other Linear block, and so the embedding where it is tied to the head
         * (but never with feedback); an embedding of its own as int8 rows.
         */
        W4,
        /** Both as floats. */
        FLOAT;

        String key() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * What the bits are made of. {@link #E8} and {@link #D8} are lattice codes that the product
     * runs on; all others are for comparison only: decoded values are held in floats, so they take
     * the memory of floats and sizes are reported so.
     */
    public enum Code {
        /** The lattice code 16·E8 (or 8·E8 for 3 bits) with the ladder 3:4:5:7. */
        E8,
        /** The lattice code 16·D8* (or 8·D8*) with eight scales. */
        D8,
        /** Symmetric int4 with one clipped scale for each rotated row, token or head vector. */
        INT4,
        /** The paper's code 14·E8 with four real scales, rows divided by their root mean square. */
        NESTQUANT,
        /** As the paper's NestQuantM: the leader of 16·E8 moves a fixed coordinate. */
        NESTQUANTM,
        /** Symmetric int4 with one absmax scale for each row, token or head vector, unrotated. */
        RTN,
        /** The rule of Q4_0, unrotated. */
        Q4_0,
        /** MXFP4, unrotated. */
        MXFP4,
        /** NVFP4, unrotated. */
        NVFP4,
        /** {@link #Q4_0} after the rotation. */
        Q4_0_ROTATED,
        /** {@link #MXFP4} after the rotation. */
        MXFP4_ROTATED,
        /** {@link #NVFP4} after the rotation. */
        NVFP4_ROTATED;

        private static final String ROTATED = "_ROTATED";

        /**
         * Tells whether the code stands in for the product's in floats.
         *
         * @return true but for the codes that the product runs on
         */
        public boolean simulated() {
            return ordinal() >= INT4.ordinal();
        }

        /** Tells whether rows, tokens and head vectors are to be rotated before they are coded. */
        boolean rotates() {
            return rotated() || ordinal() < RTN.ordinal();
        }

        private boolean rotated() {
            return name().endsWith(ROTATED);
        }

        /** Returns the code without what is done before. */
        Code base() {
            return valueOf(name().replace(ROTATED, ""));
        }

        String key() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** The name of the option that holds the text form. */
    public static final String OPTION = "quantization";

    private static final int MAX_SCALES = 16;

    static final long LINEAR_SEED = 0x4e455354;
    static final long HEAD_SEED = 0x4b56;

    /** Everything stays float. */
    public static final QuantizationConfig NONE = parse("none");

    /** What models are loaded with unless told otherwise: coded weights, activations in int8. */
    public static final QuantizationConfig DEFAULT = parse("w4a8");

    /** Refuses a coded head beside float weights; makes the exclusions immutable. */
    public QuantizationConfig {
        if (code.simulated() && (weightBits > 0 && weightBits != 4 || !widths.isEmpty())) {
            String part = "code=" + code.key();
            throw new IllegalArgumentException(
                    part + " has 4 bits: use w4," + part + " without other bits for single blocks");
        }
        if (!rotate && code.rotated()) {
            throw new IllegalArgumentException(
                    String.format(
                            "rotation=off contradicts code=%s; use code=%s",
                            code.key(), code.base().key()));
        }
        boolean anyScales = code == Code.NESTQUANT || code == Code.NESTQUANTM;
        if (scales != 0 && (!anyScales || scales < 1 || scales > MAX_SCALES)) {
            throw new IllegalArgumentException(
                    String.format(
                            "k=%d does not go with code=%s: k is 1 to %d for code=nestquant and"
                                    + " code=nestquantm, and part of all other codes",
                            scales, code.key(), MAX_SCALES));
        }
        if (weightBits == 0 && !widths.isEmpty()) {
            throw new IllegalArgumentException(
                    "bits for single blocks need bits for the rest, as in w4,w8="
                            + widths.get(0).pattern());
        }
        if (head == Head.W4 && weightBits == 0) {
            throw new IllegalArgumentException(
                    "head=w4 needs weights on the same code, as in w4,head=w4");
        }
        if (!(damping > 0) || damping == Double.POSITIVE_INFINITY) {
            throw new IllegalArgumentException("damping is " + damping + ", but must be positive");
        }
        excluded = List.copyOf(excluded);
        only = List.copyOf(only);
        widths = List.copyOf(widths);
    }

    /**
     * Parses the text form.
     *
     * @param text for example {@code w4a4kv4} or {@code w4,exclude=lm_head}
     * @return the configuration
     * @throws IllegalArgumentException if a part is unknown; the message lists the known ones
     */
    public static QuantizationConfig parse(String text) {
        return QuantizationText.parse(text);
    }

    /**
     * Tells whether a block's weights are to be coded.
     *
     * @param name the block's name, such as {@code model.layers.0.mlp.up_proj}
     * @return true if they are
     */
    public boolean quantizes(String name) {
        return weightBits > 0 && !excludes(name);
    }

    /**
     * Tells whether an embedding or a head of this name is to be int8, as the embedding of W4 is.
     */
    boolean codesVocabulary(String name) {
        return head != Head.FLOAT && !excludes(name);
    }

    /**
     * Tells whether the embedding is to be coded, as int8 unless {@link #packsEmbedding}.
     *
     * @param tied whether it is the output head too
     */
    boolean codesEmbedding(boolean tied) {
        return codesVocabulary(LayerReader.EMBEDDING)
                && (!tied || codesVocabulary(LayerReader.HEAD));
    }

    /**
     * Tells whether the embedding is to be on the layers' code.
     *
     * @param tied whether it is the output head too
     */
    boolean packsEmbedding(boolean tied) {
        return tied && head == Head.W4 && codesEmbedding(true);
    }

    private boolean excludes(String name) {
        return excluded.stream().anyMatch(pattern -> matches(pattern, name)) || !includes(name);
    }

    private boolean includes(String name) {
        return only.isEmpty() || only.stream().anyMatch(pattern -> matches(pattern, name));
    }

    /**
     * Tells whether weights are rounded for the inputs of a calibration text.
     *
     * @return true if they are coded with feedback
     */
    public boolean calibrates() {
        return weightBits > 0 && rounding != Rounding.PLAIN;
    }

    /** Tells whether the noise of coded inputs counts when weights are rounded. */
    boolean expectsNoise() {
        return rounding == Rounding.QA_LDLQ && activationBits > 0;
    }

    /**
     * Tells whether a calibration text is needed to load a model.
     *
     * @return true if weights are coded and balanced before, or rounded with feedback
     */
    public boolean needsText() {
        return weightBits > 0 && balance || calibrates();
    }

    /** Returns the same with other bits of activations. */
    QuantizationConfig withActivationBits(int bits) {
        QuantizationText changed = new QuantizationText(this);
        changed.activationBits = bits;
        return changed.config();
    }

    /**
     * Returns a part of what is coded, in the blocks of one name, with the same code.
     *
     * @param weights whether weights are coded, as they are here
     * @param activations whether their inputs are, which takes weights
     * @param cache whether keys and values are
     * @param pattern the name, where {@code *} matches anything
     * @return the configuration; all else is float
     */
    public QuantizationConfig part(
            boolean weights, boolean activations, boolean cache, String pattern) {
        QuantizationText part = new QuantizationText(this);
        if (!weights) {
            part.leaveWeights();
        }
        part.activationBits = activations ? activationBits : 0;
        part.cacheBits = cache ? cacheBits : 0;
        part.only(pattern);
        return part.config();
    }

    /** Tells whether rows, tokens and head vectors are rotated before they are coded. */
    boolean rotates() {
        return rotate && code.rotates();
    }

    /** Returns what is done to inputs of so many entries and to rows that meet them. */
    Rotation rotation(int inFeatures) {
        return rotates() ? Rotation.of(inFeatures, LINEAR_SEED) : Rotation.none(inFeatures);
    }

    /** Returns what is done to queries, keys and values of a head. */
    Rotation headRotation(int headSize) {
        return rotates() ? Rotation.of(headSize, HEAD_SEED) : Rotation.none(headSize);
    }

    /**
     * Returns the lattice code of a packed embedding, and of weights that have the bits of the
     * preset: that of 4 bits where those are int8 rows.
     */
    PackedCode weightCode() {
        return weightCode(weightBits);
    }

    /**
     * Returns the bits of a block's weights.
     *
     * @param name the block's name
     * @return 3, 4 or 8, or 0 where they stay float
     */
    public int weightBits(String name) {
        int bits = weightBits;
        for (Width width : widths) {
            bits = matches(width.pattern(), name) ? width.bits() : bits;
        }
        return quantizes(name) ? bits : 0;
    }

    /** Returns the lattice code with so many bits, 3 or 4. */
    PackedCode weightCode(int bits) {
        boolean dual = code == Code.D8;
        return bits == 3
                ? (dual ? PackedCode.D8_8 : PackedCode.E8_8)
                : (dual ? PackedCode.D8_16 : PackedCode.E8_16);
    }

    /** Returns what quantised folders call the code of so many bits, 3, 4 or 8. */
    String codeName(int bits) {
        return bits == 8 ? ContainerConfig.INT8 : weightCode(bits).name();
    }

    /** Tells whether keys and values are held as lattice codes, those of some layers at least. */
    boolean packsCache() {
        return cacheBits > 0 && !code.simulated();
    }

    /** Tells whether the attention block of a decoder layer codes its keys and values. */
    boolean codesCache(int layer) {
        return cacheBits > 0 && includes(LayerReader.attentionName(layer));
    }

    private static boolean matches(String pattern, String name) {
        String regex = Pattern.quote(pattern).replace("*", "\\E.*\\Q");
        return name.matches(regex);
    }

    /**
     * Returns the text form.
     *
     * @return the text form, which {@link #parse} understands
     */
    @Override
    public String toString() {
        return QuantizationText.of(this);
    }
}
