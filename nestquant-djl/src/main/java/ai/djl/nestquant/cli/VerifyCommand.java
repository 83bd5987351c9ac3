package ai.djl.nestquant.cli;

import ai.djl.nestquant.pipeline.QuantizeReport;
import ai.djl.nestquant.pipeline.QuantizedFolder;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code nestquant verify}. Not safe for concurrent use. */
@Command(
        name = "verify",
        description = "Checks the hashes of all files of a quantised model, and all its tensors.",
        sortOptions = false)
final class VerifyCommand extends ReportCommand<QuantizeReport> {

    @Parameters(arity = "0..1", paramLabel = "DIR", description = "the folder; or --model DIR")
    private Path folder;

    /** {@inheritDoc} */
    @Override
    void prepare() {
        if ((folder == null) != hasModel()) {
            throw wrongUsage("say which folder to check, as DIR or as --model DIR");
        }
    }

    /** {@inheritDoc} */
    @Override
    QuantizeReport report() throws Exception {
        return QuantizedFolder.verify(folder == null ? directory() : folder);
    }

    /** {@inheritDoc} */
    @Override
    void print(QuantizeReport report) {
        QuantizeCommand.print(this, report);
        out("all files and tensors are as they were written" + System.lineSeparator());
    }
}
