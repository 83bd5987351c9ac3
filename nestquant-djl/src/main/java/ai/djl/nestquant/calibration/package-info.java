/** Rounding weights for the inputs that they will meet: LDLQ and QA-LDLQ. */
package ai.djl.nestquant.calibration;
