package ai.djl.nestquant.engine;

import ai.djl.inference.streaming.StreamingTranslator;
import ai.djl.ndarray.NDList;
import ai.djl.translate.Batchifier;
import ai.djl.translate.TranslateException;
import ai.djl.translate.TranslatorContext;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Generates text from a request, at once or piece by piece.
 *
 * <p>DJL runs a block once for a prediction, but a text takes one pass for each token. So nothing
 * is handed to the block here (DJL skips it for an empty list) and {@link TextGenerator} drives it.
 * Each predictor has a translator context of its own, so predictors of one model may run at the
 * same time.
 *
 * @param <I> the input type
 * @param <O> the output type
 */
final class TextGenerationTranslator<I, O> implements StreamingTranslator<I, O> {

    /** Makes a request of an input. */
    @FunctionalInterface
    interface RequestReader<I> {

        TextGenerator.Request read(I input) throws TranslateException;
    }

    private static final String REQUEST = "nestquant.request";

    private final TextGenerator generator;
    private final RequestReader<I> toRequest;
    private final Function<GeneratedText, O> toOutput;

    TextGenerationTranslator(
            TextGenerator generator,
            RequestReader<I> toRequest,
            Function<GeneratedText, O> toOutput) {
        this.generator = generator;
        this.toRequest = toRequest;
        this.toOutput = toOutput;
    }

    /** {@inheritDoc} */
    @Override
    public NDList processInput(TranslatorContext ctx, I input) throws TranslateException {
        ctx.setAttachment(REQUEST, toRequest.read(input));
        return new NDList();
    }

    /** {@inheritDoc} */
    @Override
    public O processOutput(TranslatorContext ctx, NDList list) {
        try (GeneratedText text = start(ctx, () -> {})) {
            text.complete();
            return toOutput.apply(text);
        }
    }

    /** {@inheritDoc} */
    @Override
    public StreamOutput<O> processStreamOutput(TranslatorContext ctx, Stream<NDList> list) {
        return new TextStream(start(ctx, list::close));
    }

    private GeneratedText start(TranslatorContext ctx, Runnable onClose) {
        TextGenerator.Request request = (TextGenerator.Request) ctx.getAttachment(REQUEST);
        return generator.generate(request, ctx.getNDManager(), onClose);
    }

    /** {@inheritDoc} */
    @Override
    public Batchifier getBatchifier() {
        return null;
    }

    /** {@inheritDoc} */
    @Override
    public Support getSupport() {
        return Support.ITERATIVE;
    }

    private final class TextStream extends StreamOutput<O> {

        private final GeneratedText text;

        TextStream(GeneratedText text) {
            this.text = text;
        }

        /** {@inheritDoc} */
        @Override
        public O getIterativeOutputInternal() {
            return toOutput.apply(text);
        }

        /** {@inheritDoc} */
        @Override
        protected O buildAsyncOutput() {
            throw new UnsupportedOperationException(
                    "text streams are iterative: call getIterativeOutput()");
        }

        /** {@inheritDoc} */
        @Override
        protected void computeAsyncOutputInternal(O output) {
            throw new UnsupportedOperationException(
                    "text streams are iterative: call getIterativeOutput()");
        }
    }
}
