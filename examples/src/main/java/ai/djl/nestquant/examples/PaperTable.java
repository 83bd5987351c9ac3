package ai.djl.nestquant.examples;

import ai.djl.nestquant.pipeline.Comparison;
import ai.djl.nestquant.pipeline.ComparisonMethods;
import ai.djl.nestquant.pipeline.ComparisonReport;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Prints a table in the layout of the NestQuant paper, perplexity by code and by what is coded, for
 * a model and a text of one's own.
 */
public final class PaperTable {

    private static final int CONTEXT = 512;
    private static final int WINDOWS = 5;

    private PaperTable() {}

    /**
     * Runs the example.
     *
     * @param args a HuggingFace model directory and a text file
     * @throws Exception if the model cannot be measured
     */
    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            System.err.println("usage: PaperTable MODEL_DIRECTORY TEXT_FILE");
            System.exit(2);
        }
        String text = Files.readString(Path.of(args[1]));
        // finished rows are kept here: an interrupted run goes on when it is started again
        Path results = Path.of("paper-table.json");
        Comparison comparison = new Comparison(Path.of(args[0]), text, CONTEXT, WINDOWS, results);
        ComparisonReport report =
                comparison.run(
                        ComparisonMethods.parse("quick"),
                        (method, done, total) ->
                                System.err.printf("%d of %d windows %s%n", done, total, method));
        System.out.print(report.toPaperTable().toText());
    }
}
